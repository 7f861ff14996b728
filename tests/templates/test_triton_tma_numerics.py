"""triton_tma: its numbers in Triton's interpreter, on a chip of three multiprocessors, so that programs stay."""

import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from builders import a_target
from kerntune.templates.catalogue import op_named, templates_named

pytestmark = [pytest.mark.triton, pytest.mark.torch]

(TEMPLATE,) = templates_named("gemm", ["triton_tma"])
TARGET = a_target(sm_count=3)
SHAPES = [(130, 72, 70), (64, 200, 96), (1, 7, 5), (150, 33, 47)]

INTERPRET = """
import importlib.util, json, sys
from pathlib import Path
import torch
from triton.tools.tensor_descriptor import TensorDescriptor
torch.manual_seed(0)

TYPES = {"fp16": torch.float16, "fp32": torch.float32, "tf32": torch.float32, "tf32x3": torch.float32,
         "int8": torch.int8, "int32": torch.int32, "fp8e4m3": torch.float8_e4m3fn, "fp8e5m2": torch.float8_e5m2}
WORDS = {"*i8": torch.int8, "*i16": torch.int16, "*i32": torch.int32}

def inside_nan(array):
    # What is read past the end of an operand shows as NaN.
    fill = 77 if array.dtype == torch.int8 else float("nan")
    storage = torch.full((array.numel() + 4096,), fill, dtype=torch.float32).to(array.dtype)
    storage[: array.numel()] = array.flatten()
    return storage[: array.numel()].view(array.shape)

def argument(given, arrays):
    tensor = given["tensor"]
    if tensor is None:
        return given["value"] if given["value"] is not None else arrays[given["name"]]
    block = json.loads(given["type"][given["type"].index("["):-1])
    base = arrays[tensor["buffer"]]
    strides = [stride // base.element_size() for stride in tensor["strides_bytes"]] + [1]
    return TensorDescriptor(base, tensor["shape"], strides, block)

def expected(of, arrays):
    a, b = arrays["a"].double(), arrays["b"].double()
    a, b = (x if letter == "n" else x.mT for x, letter in zip((a, b), of["layout"]))
    if of["scales"] == "block128":
        scale = arrays["b_scale"].repeat_interleave(128, -2)[..., : a.shape[-1], :]
        a = a * arrays["a_scale"].repeat_interleave(128, -1)[..., : a.shape[-1]]
        b = b * scale.repeat_interleave(128, -1)[..., : b.shape[-1]]
    c = a @ b
    if of["scales"] == "tensor":
        c = c * (arrays["a_scale"] * arrays["b_scale"])[..., None]
    if of["scales"] == "row":
        c = c * arrays["a_scale"][..., :, None] * arrays["b_scale"][..., None, :]
    parts = of["epilogue"].split("+")
    if "bias" in parts:
        c = c + arrays["bias"]
    for name in set(parts) & {"relu", "gelu", "silu"}:
        c = getattr(torch.nn.functional, name)(c)
    return c + arrays["residual"] if "residual" in parts else c

for number, case in enumerate(json.load(sys.stdin)):
    path = Path(sys.argv[1]) / f"kernel_{number}.py"
    path.write_text(case["source"])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    arrays = {}
    for name, shape, dtype in case["buffers"]:
        values = torch.randint(-9, 9, shape) if dtype == "int8" else torch.randn(shape)
        arrays[name] = inside_nan(values.to(TYPES[dtype]))
    arrays["c"].fill_(-1 if arrays["c"].dtype == torch.int32 else float("nan"))
    for name, size in case["workspace"].items():
        arrays[name] = torch.zeros(size, dtype=torch.uint8).view(TYPES[case["of"]["dtype"]])
    for launch in case["launches"]:
        given = [argument(x, arrays) for x in launch["arguments"]]
        words = [WORDS.get(x["type"]) for x in launch["arguments"]]
        given = [x.view(word) if word and x.dtype.itemsize == word.itemsize else x for x, word in zip(given, words)]
        getattr(module, launch["entry"])[tuple(launch["grid"])](*given)
    wanted = expected(case["of"], arrays)
    error = ((arrays["c"].double() - wanted).norm() / wanted.norm()).item()
    print(error if error == error else 1.0, flush=True)
"""


def cases(fields, shapes=SHAPES, seed=0, count=2):
    """Sampled configs of problems, as the child is told them."""
    found = []
    for number, (m, n, k) in enumerate(shapes):
        of = op_named("gemm").problem("gpu", m=m, n=n, k=k, **fields)
        feasible = TEMPLATE.feasible(of, TARGET)
        for config in feasible.sample(np.random.default_rng(seed + number), min(count, len(feasible))):
            candidate = TEMPLATE.candidate(feasible, of, TARGET, config)
            found.append(
                {
                    "source": candidate.source,
                    "launches": [asdict(launch) for launch in (*candidate.launch.before, candidate.launch)],
                    "workspace": candidate.launch.workspace,
                    "buffers": [(buffer.name, buffer.shape, buffer.dtype) for buffer in op_named("gemm").buffers(of)],
                    "of": dict(of.fields),
                    "config": dict(config),
                }
            )
    return found


def errors(tmp_path, given):
    """In a process of their own: a store out of bounds would corrupt this one."""
    ran = subprocess.run(
        [sys.executable, "-c", INTERPRET, str(tmp_path)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=250,
        env={"TRITON_INTERPRET": "1", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        check=False,
    )
    found = [float(line) for line in ran.stdout.split()]
    assert len(found) == len(given), (given[len(found)]["of"], given[len(found)]["config"], ran.stderr[-2000:])
    return found


def assert_right(tmp_path, given, tolerance):
    for case, error in zip(given, errors(tmp_path, given), strict=True):
        assert error <= tolerance, (error, case["of"], case["config"])


@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
@pytest.mark.parametrize(
    ("dtype", "out_dtype", "tolerance"),
    [("fp16", "fp16", 1e-3), ("tf32", "fp32", 1e-3), ("int8", "int32", 0.0), ("fp8e5m2", "fp16", 1e-3)],
)
def test_its_numbers_are_right_on_ragged_shapes(tmp_path, layout, dtype, out_dtype, tolerance):
    """In every layout, rows aligned or not.

    Not in bf16, which the interpreter of Triton 3.6 multiplies wrongly (docs/measured_facts.md).
    """
    fields = {"dtype": dtype, "out_dtype": out_dtype, "layout": layout}
    assert_right(tmp_path, cases(fields, seed=len(layout + dtype)), tolerance)


@pytest.mark.parametrize(
    "fields",
    [
        {"epilogue": "bias+gelu+residual", "batch": 3, "layout": "tn"},
        {"epilogue": "silu+residual", "layout": "nt"},
        {"dtype": "int8", "out_dtype": "fp16", "scales": "row", "epilogue": "bias+relu", "batch": 2, "layout": "nn"},
        {"dtype": "fp8e4m3", "out_dtype": "fp16", "scales": "tensor", "batch": 2, "layout": "tt"},
        {"dtype": "fp8e4m3", "out_dtype": "fp16", "scales": "block128", "batch": 2, "layout": "nt"},
    ],
    ids=lambda fields: " ".join(str(value) for value in fields.values()),
)
def test_a_batch_its_scales_and_its_epilogue_are_right(tmp_path, fields):
    """No tile crosses from one product of a batch to the next."""
    shapes = [(70, 150, 270), (130, 40, 72)]
    assert_right(tmp_path, cases({"dtype": "fp16"} | fields, shapes), 2e-3)
