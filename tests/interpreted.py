"""Candidates of gemm in Triton's interpreter, in a process of their own: a store out of bounds would corrupt this one.

Not in bf16, which the interpreter of Triton 3.6 multiplies wrongly (docs/measured_facts.md).
"""

import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
from kerntune.templates.catalogue import op_named

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

def framed(values):
    # What is read past the end of an array shows as NaN, or as the largest integer there is.
    whole = torch.full((values.numel() + 4096,), 3.4e38).to(values.dtype)
    if values.dtype.is_floating_point:
        whole = torch.full((values.numel() + 4096,), float("nan")).to(values.dtype)
    whole[: values.numel()] = values.flatten()
    return whole[: values.numel()].view(values.shape)

folder = Path(sys.argv[1])
for number, case in enumerate(json.loads((folder / "cases.json").read_text())):
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
    for call in range(2):
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
                else:
                    given.append(arrays[x["name"]] if x["value"] is None else x["value"])
            getattr(module, launch["entry"])[tuple(launch["grid"])](*given)
        out = c.double().numpy() if c.dtype.is_floating_point else c.numpy()
        np.save(folder / f"c_{number}_{call}.npy", out)
    left = [int(arrays[name].abs().max()) for name in case["zero"]]
    print("ran", number, max(left, default=0), flush=True)
"""


def a_product(m, n, k, dtype="fp16", **fields):
    """On a GPU."""
    return op_named("gemm").problem("gpu", m=m, n=n, k=k, dtype=dtype, **fields)


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


def run(candidates, folder, zero=()):
    """Each (problem, candidate) twice: its two C, and the arrays named `zero` seen to be left as such.

    Gives (problem, candidate, first C, second C) of each.
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
        }
        for of, candidate in candidates
    ]
    for case, (of, _) in zip(cases, candidates, strict=True):
        shape = next(buffer.shape for buffer in op_named("gemm").buffers(of) if buffer.role == "output")
        np.save(folder / f"{case['problem']}_c.npy", np.zeros(shape))
    (folder / "cases.json").write_text(json.dumps(cases))
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder)],
        capture_output=True,
        text=True,
        timeout=280,
        env={"TRITON_INTERPRET": "1", "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        check=False,
    )
    lines = [line.split() for line in ran.stdout.splitlines() if line.startswith("ran ")]
    assert len(lines) == len(cases), ran.stderr[-3000:]
    assert [line[2] for line in lines] == ["0"] * len(cases)
    return [
        (of, candidate, *(np.load(folder / f"c_{number}_{call}.npy") for call in range(2)))
        for number, (of, candidate) in enumerate(candidates)
    ]


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
