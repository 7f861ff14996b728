"""triton_flash's numbers in Triton's interpreter, in processes of their own: a store out of bounds would corrupt this
one. Not in bf16, which the interpreter of Triton 3.6 multiplies wrongly (docs/measured_facts.md).
"""

import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from builders import a_target
from kerntune.templates.catalogue import op_named, templates_named

pytestmark = [pytest.mark.triton, pytest.mark.torch]

(TEMPLATE,) = templates_named("attention", ["triton_flash"])
OP = op_named("attention")
HOPPER = a_target(nvrtc="13.0.88")
TYPES = {"fp16": np.float16, "fp32": np.float32, "tf32": np.float32, "tf32x3": np.float32, "int32": np.int32}
PROCESSES = 2

CHILD = """
import importlib.util, json, sys
from pathlib import Path
import numpy as np
import torch
from triton.tools.tensor_descriptor import TensorDescriptor

def framed(values):
    # What is read past the ends of an array shows as NaN, or as the largest integer there is.
    values = torch.from_numpy(values)
    filling = float("nan") if values.dtype.is_floating_point else torch.iinfo(values.dtype).max
    whole = torch.full((values.numel() + 65536,), filling, dtype=values.dtype)
    whole[: values.numel()] = values.flatten()
    return whole[: values.numel()].view(values.shape)

folder = Path(sys.argv[1])
for number, case in enumerate(json.loads((folder / "cases.json").read_text())):
    try:
        (folder / f"taken_{number}").touch(exist_ok=False)
    except FileExistsError:
        continue
    path = folder / f"kernel_{number}.py"
    path.write_text(case["source"])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    arrays = {name: framed(np.load(folder / f"{case['problem']}_{name}.npy")) for name in case["buffers"]}
    for call in range(2):
        for name in case["outputs"]:
            arrays[name].fill_(float("nan"))
        for launch in case["launches"]:
            given = []
            for x in launch["arguments"]:
                if x["tensor"]:
                    tensor, array = x["tensor"], arrays[x["tensor"]["buffer"]]
                    strides = [stride // array.element_size() for stride in tensor["strides_bytes"]] + [1]
                    block = json.loads("[" + x["type"].split("[")[1].rstrip(">"))
                    given.append(TensorDescriptor(array, list(tensor["shape"]), strides, block))
                else:
                    given.append(arrays[x["name"]] if x["value"] is None else x["value"])
            getattr(module, launch["entry"])[tuple(launch["grid"])](*given)
        for name in case["outputs"]:
            np.save(folder / f"{name}_{number}_{call}.npy", arrays[name].numpy())
    print("ran", number, flush=True)
"""


def a_problem(b, h, s, d, **fields):
    return OP.problem("gpu", b=b, h=h, s=s, d=d, **{"dtype": "fp16"} | fields)


def inputs(of):
    """What the op reads, as its types hold it; of a bias, some pairs are not seen at all."""
    random = np.random.default_rng(0)
    found = {}
    for buffer in OP.buffers(of):
        if buffer.role == "input":
            values = (
                np.asarray(buffer.values).reshape(buffer.shape) if buffer.values else random.normal(size=buffer.shape)
            )
            if buffer.name == "bias":
                values[random.random(buffer.shape) < 0.3] = -np.inf
                values[0, 0] = -np.inf  # a row that sees nothing
            found[buffer.name] = values.astype(TYPES[buffer.dtype])
    return found


def drawn(of, count, seed=1, **fixed):
    """Candidates of feasible configs with the `fixed` values."""
    feasible = TEMPLATE.feasible(of, HOPPER)
    configs = feasible.sample(np.random.default_rng(seed), 3000 if fixed else count)
    taken = [config for config in configs if fixed.items() <= dict(config).items()][:count]
    return [(of, TEMPLATE.candidate(feasible, of, HOPPER, config)) for config in taken]


def run(wanted, folder):
    """Each (problem, candidate) twice: its outputs of each call."""
    problems = list(dict.fromkeys(of for of, _ in wanted))
    for number, of in enumerate(problems):
        for name, values in inputs(of).items():
            np.save(folder / f"{number}_{name}.npy", values)
        for buffer in OP.buffers(of):
            if buffer.role == "output":
                np.save(folder / f"{number}_{buffer.name}.npy", np.zeros(buffer.shape, TYPES[buffer.dtype]))
    outputs = {of: [buffer.name for buffer in OP.buffers(of) if buffer.role == "output"] for of in problems}
    cases = [
        {
            "source": candidate.source,
            "launches": [asdict(candidate.launch)],
            "problem": problems.index(of),
            "buffers": [buffer.name for buffer in OP.buffers(of)],
            "outputs": outputs[of],
        }
        for of, candidate in wanted
    ]
    (folder / "cases.json").write_text(json.dumps(cases))
    said, complaints = _interpreted(folder)
    assert len(said) == len(cases), complaints
    return [
        [{name: np.load(folder / f"{name}_{number}_{call}.npy") for name in outputs[of]} for call in range(2)]
        for number, (of, _) in enumerate(wanted)
    ]


def _interpreted(folder):
    """What the processes say of the cases they ran, word by word, and the ends of their complaints."""
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"TRITON_INTERPRET": "1", "PATH": "/usr/bin:/bin", "HOME": str(folder)} | alone,
        )
        for _ in range(PROCESSES)
    ]
    try:
        ended = [process.communicate(timeout=280) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    lines = "".join(out for out, _ in ended).splitlines()
    return [line.split() for line in lines if line.startswith("ran ")], [complaint[-3000:] for _, complaint in ended]


def fault(of, outputs):
    """How O and lse differ from what they should be; None where they do not."""
    got, expected = OP.evidence(of, inputs(of) | outputs, np, np.random.default_rng(0))
    bounds = OP.tolerance(of)
    if not np.isfinite(got).all():
        return f"{(~np.isfinite(got)).sum()} elements are not finite"
    distance, allowed = np.linalg.norm(got - expected), bounds.frobenius * np.linalg.norm(expected)
    worst = (np.abs(got - expected) - bounds.rtol * np.abs(expected) - bounds.atol).max()
    return (
        None
        if distance <= allowed + bounds.atol and worst <= 0
        else f"off by {distance:.3g} of {allowed:.3g}, {worst:.3g}"
    )


def check(wanted, folder):
    """All of them right, and the same bits at both calls."""
    for (of, candidate), (first, second) in zip(wanted, run(wanted, folder), strict=True):
        assert fault(of, first) is None, (fault(of, first), dict(candidate.config), of.fields)
        assert all(np.array_equal(first[name], second[name]) for name in first), dict(candidate.config)


DENSE = [
    a_problem(2, 4, 130, 64, kv_heads=2, causal="yes", lse="yes"),
    a_problem(1, 2, 100, 128, kv_len=161, layout="bshd", lse="yes"),
    a_problem(1, 4, 129, 80, kv_heads=1, kv_len=190, causal="lower_right", layout="bshd", lse="yes"),
    a_problem(1, 2, 140, 96, kv_len=70, causal="lower_right", lse="yes"),  # the first queries see no key
    a_problem(1, 2, 70, 64, kv_len=140, causal="yes"),
    a_problem(1, 2, 140, 64, kv_len=60, causal="yes", lse="yes"),
    a_problem(1, 2, 200, 64, causal="yes", window=50, lse="yes"),
    a_problem(1, 2, 150, 64, kv_len=190, causal="lower_right", window=7, layout="bshd"),
    a_problem(1, 2, 190, 64, kv_len=150, window=33, lse="yes"),
    a_problem(1, 2, 300, 64, kv_len=70, window=40, lse="yes"),  # the last queries see no key
    a_problem(1, 2, 90, 256, soft_cap=5, causal="yes", lse="yes"),
    a_problem(2, 2, 128, 64, kv_len=100, bias="additive", lse="yes"),
    a_problem(1, 2, 100, 64, bias="additive", causal="yes", soft_cap=20, layout="bshd"),
    a_problem(1, 4, 100, 40, kv_heads=2, kv_len=161, bias="alibi", causal="lower_right", lse="yes"),
    a_problem(1, 2, 70, 64, kv_len=90, dtype="fp32", lse="yes"),
    a_problem(1, 2, 80, 96, dtype="fp32", causal="yes", bias="alibi"),
    a_problem(1, 2, 80, 64, dtype="tf32", causal="yes", window=30),
    a_problem(1, 2, 3, 64, kv_len=300, lse="yes"),
    a_problem(1, 2, 128, 20, kv_len=128, lse="yes"),
    a_problem(5, 14, 70, 16, causal="yes", kv_heads=7, layout="bshd"),  # more tiles than multiprocessors
]
PACKED = [
    a_problem(5, 4, 130, 64, kv_heads=2, varlen="yes", causal="yes", lse="yes"),
    a_problem(4, 2, 90, 80, kv_len=140, varlen="yes", causal="lower_right", lse="yes"),
    a_problem(4, 2, 140, 64, kv_len=80, varlen="yes", causal="lower_right", window=40, lse="yes"),
    a_problem(4, 2, 100, 96, kv_heads=1, varlen="yes", bias="alibi", soft_cap=10),
    a_problem(5, 14, 70, 16, varlen="yes", causal="yes"),
    a_problem(3, 2, 100, 64, varlen="yes", window=30, dtype="fp32", lse="yes"),
]
WAYS = (
    {"LOADS": "tma", "STORE": "tma"},
    {"LOADS": "tma", "STORE": "pointer"},
    {"LOADS": "pointer"},
    {"PROGRAMS": "sms"},
    {"MASKS": "all"},
    {"MASKS": "branch"},
    {"MASKS": "edges"},
    {"FIRST": "shortest"},
    {"DIMS": "two"},
    {"HEADS": 4, "MASKS": "branch"},
)


@pytest.mark.parametrize("problems", [DENSE, PACKED], ids=["dense", "packed"])
def test_every_mask_and_layout_is_right(tmp_path, problems):
    """In every way to load, to mask, to order tiles and to share them out, at both calls with the same bits."""
    assert all(TEMPLATE.supports(of, HOPPER) is None for of in problems)
    wanted = [found for of in problems for way in WAYS for found in drawn(of, 1, **way)]
    assert {candidate.config["LOADS"] for _, candidate in wanted} == {"tma", "pointer"}
    assert {candidate.config["PROGRAMS"] for _, candidate in wanted} >= {"tiles", "sms"}
    check(wanted, tmp_path)
