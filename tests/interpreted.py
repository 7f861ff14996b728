"""Candidates of gemm in Triton's interpreter, in processes of their own: a store out of bounds would corrupt this one.

Not in bf16, which the interpreter of Triton 3.6 multiplies wrongly (docs/measured_facts.md).
"""

import json
import subprocess
import sys
from dataclasses import asdict
from itertools import chain

import numpy as np
from kerntune.templates.catalogue import op_named

PROCESSES = 2
"""Each interprets with one thread; who is free takes the next case."""

CHILD = """
import importlib.util, json, sys
from pathlib import Path
import numpy as np
import torch
from triton.tools.tensor_descriptor import TensorDescriptor

DTYPES = {"fp16": torch.float16, "fp32": torch.float32, "tf32": torch.float32, "tf32x3": torch.float32,
          "int8": torch.int8, "int32": torch.int32, "fp8e4m3": torch.float8_e4m3fn, "fp8e5m2": torch.float8_e5m2}
WORKSPACE = {"*fp32": torch.float32, "*i32": torch.int32, "*fp16": torch.float16, "*i8": torch.int8,
             "*fp8e4nv": torch.float8_e4m3fn}
WORDS = {"*i8": torch.int8, "*i16": torch.int16, "*i32": torch.int32}

def framed(values):
    # What is read past the end of an array shows as NaN, or as the largest integer there is.
    whole = torch.full((values.numel() + 4096,), 3.4e38).to(values.dtype)
    if values.dtype.is_floating_point:
        whole = torch.full((values.numel() + 4096,), float("nan")).to(values.dtype)
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
    arrays = {}
    for name, dtype in case["arrays"].items():
        values = torch.from_numpy(np.load(folder / f"{case['problem']}_{name}.npy"))
        arrays[name] = framed(values.to(DTYPES[dtype]))
    types = {x["name"]: x["type"] for launch in case["launches"] for x in launch["arguments"]}
    for name, size in case["workspace"].items():
        # A descriptor's type is that of A and B, of which the array is a copy.
        kind = WORKSPACE[types[name]] if types[name].startswith("*") else DTYPES[case["dtype"]]
        arrays[name] = torch.zeros(size // kind.itemsize, dtype=kind)
    for call in range(case["calls"]):
        c = arrays["c"]
        c.copy_(torch.full(c.shape, 77.0 if not c.dtype.is_floating_point else float("nan")).to(c.dtype))
        for launch in case["launches"]:
            given = []
            for x in launch["arguments"]:
                if x["tensor"]:
                    tensor = x["tensor"]
                    size = torch.empty(0, dtype=arrays[tensor["buffer"]].dtype).element_size()
                    strides = [stride // size for stride in tensor["strides_bytes"]] + [1]
                    block = json.loads("[" + x["type"].split("[")[1].rstrip(">"))
                    given.append(TensorDescriptor(arrays[tensor["buffer"]], list(tensor["shape"]), strides, block))
                elif x["value"] is not None:
                    given.append(x["value"])
                else:
                    # What only moves elements takes them as integers of their size.
                    array, word = arrays[x["name"]], WORDS.get(x["type"])
                    given.append(array.view(word) if word and word.itemsize == array.itemsize else array)
            getattr(module, launch["entry"])[tuple(launch["grid"])](*given)
        out = c.double().numpy() if c.dtype.is_floating_point else c.numpy()
        np.save(folder / f"c_{number}_{call}.npy", out)
    left = [int(arrays[name].abs().max()) for name in case["zero"]]
    print("ran", number, max(left, default=0), flush=True)
"""


def inputs(of, seed=0):
    """What the op reads, as values that its types hold exactly: name -> float64 or integers."""
    import torch

    torch.manual_seed(seed)
    found = {}
    for buffer in op_named("gemm").buffers(of):
        if buffer.role != "input":
            continue
        if buffer.dtype == "int8":
            values = torch.randint(-16, 17, buffer.shape).double()
        else:
            values = torch.randn(buffer.shape)
            kinds = {"fp16": torch.float16, "fp8e4m3": torch.float8_e4m3fn, "fp8e5m2": torch.float8_e5m2}
            values = values.to(kinds.get(buffer.dtype, torch.float32)).double()
        found[buffer.name] = values.numpy()
    return found


def run(candidates, folder, zero=(), calls=2):
    """Each (problem, candidate) so many times: its C of each call, and the arrays named `zero` seen to be left as such.

    Gives (problem, candidate, first C, second C …) of each.
    """
    problems = list(dict.fromkeys(of for of, _ in candidates))
    for number, of in enumerate(problems):
        for name, values in inputs(of).items():
            np.save(folder / f"{number}_{name}.npy", values)
    cases = [
        {
            "source": candidate.source,
            "launches": [asdict(launch) for launch in (*candidate.launch.before, candidate.launch)],
            "workspace": dict(candidate.launch.workspace),
            "zero": [name for name in zero if name in candidate.launch.workspace],
            "problem": problems.index(of),
            "dtype": str(of["dtype"]),
            "arrays": {buffer.name: buffer.dtype for buffer in op_named("gemm").buffers(of)},
            "calls": calls,
        }
        for of, candidate in candidates
    ]
    for case, (of, _) in zip(cases, candidates, strict=True):
        shape = next(buffer.shape for buffer in op_named("gemm").buffers(of) if buffer.role == "output")
        np.save(folder / f"{case['problem']}_c.npy", np.zeros(shape))
    (folder / "cases.json").write_text(json.dumps(cases))
    said, complaints = _interpreted(folder)
    assert len(said) == len(cases), complaints
    assert {left for _, _, left in said} <= {"0"}
    return [
        (of, candidate, *(np.load(folder / f"c_{number}_{call}.npy") for call in range(calls)))
        for number, (of, candidate) in enumerate(candidates)
    ]


def _interpreted(folder):
    """What the processes say of the cases they ran, word by word, and the ends of their complaints."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"TRITON_INTERPRET": "1", "PATH": "/usr/bin:/bin", "HOME": str(folder)}
            | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
        )
        for _ in range(PROCESSES)
    ]
    try:
        ended = [process.communicate(timeout=280) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    lines = chain.from_iterable(out.splitlines() for out, _ in ended)
    return [line.split() for line in lines if line.startswith("ran ")], [complaint[-3000:] for _, complaint in ended]


def distance(of, c):
    """Of C from what it should be, in the Frobenius norm: a share of that norm, NaN where an element is not finite."""
    got, expected = op_named("gemm").evidence(of, inputs(of) | {"c": c}, np, np.random.default_rng(0))
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)


def fault(of, c):
    """How C differs from what it should be; None where it does not."""
    op = op_named("gemm")
    arrays = inputs(of) | {"c": c}
    got, expected = op.evidence(of, arrays, np, np.random.default_rng(0))
    bounds = op.tolerance(of)
    if not np.isfinite(got).all():
        return f"{(~np.isfinite(got)).sum()} elements are not finite"
    distance = np.linalg.norm(got - expected)
    # An fp16 sum of squares near zero may have no norm to speak of: one element is judged by its own bound.
    allowed = bounds.frobenius * np.linalg.norm(expected) + bounds.atol * expected.size**0.5
    worst = (np.abs(got - expected) - bounds.rtol * np.abs(expected) - bounds.atol).max()
    return None if distance <= allowed and worst <= 0 else f"off by {distance:.3g} of {allowed:.3g}, {worst:.3g}"
