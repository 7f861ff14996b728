"""Runs CUDA C++ candidates of gemm on a processor, warp instructions and all: what they compute, and how far off it is.

The machine is warps.hpp; here each function that holds PTX gets the body that means the same there.
"""

from __future__ import annotations

import ctypes
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from kerntune.spaces.problems import Problem
from kerntune.templates.catalogue import op_named
from kerntune.templates.template import Candidate, Launch
from kerntune.tuner.measure.cuda_random import fp8_values, storage_dtype

FRAME = 4096
"""Bytes of NaN around each array."""

_BODIES = {
    "shared_address": "return (const unsigned char *)at - shared;",
    "copy": "host_copy(to, from, BYTES, read);",
    "close_group": "host_close_group();",
    "wait_for_groups": "host_wait(PENDING);",
    "store_shared": "host_store(to, word);",
    "load_shared(unsigned from)": "unsigned word; host_load(&word, from, 4); return word;",
    "load_shared": "host_load(word, from, 16);",
    "load_matrices": "host_matrices(word, row, false);",
    "load_turned": "host_matrices(word, row, true);",
    "to_tf32": "return host_tf32(x);",
    "multiply_add": "host_multiply(sum, left, right, IN);",
    "unpack": "host_unpack(low, high, bytes, IN);",
    "aux_value": "return half_value(x);",
    "pack2": "return host_pack(low, high, OUT);",
}

_FUNCTION = re.compile(r"(__device__ __forceinline__ [^\n]*?(\w+)(\([^\n]*\)))\n\{\n(.*?)\n\}\n", re.DOTALL)
_KERNEL = re.compile(r'extern "C" __global__ void __launch_bounds__\([^)]*\)\n(\w+)\(([^\n]*)\)\n')


def on_host(problem: Problem, source: str) -> str:
    """The source with other bodies for what is PTX, and a function `run_…` for each kernel."""

    def body(found: re.Match[str]) -> str:
        head, name, taken, text = found.groups()
        if "asm" not in text:
            return found.group()
        instead = _BODIES.get(name + taken) or _BODIES[name]
        if ".f16.f16." in text:
            instead = instead.replace("IN", "fp16")
        return f"{head}\n{{\n    {instead}\n}}\n"

    calls = []
    for entry, taken in _KERNEL.findall(source):
        given = []
        for place, parameter in enumerate(taken.split(", ")):
            kind = parameter[: re.search(r"\w+$", parameter).start()].replace("__restrict__", "").strip()
            given.append(f"({kind})args[{place}]" if "*" in kind else f"*({kind} *)args[{place}]")
        calls.append(
            f'extern "C" void run_{entry}(void **args, const unsigned *grid, int threads, int smem, unsigned seed)\n'
            "{ run_grid({grid[0], grid[1], grid[2]}, threads, smem, seed, [=] { "
            f"{entry}({', '.join(given)}); }}); }}"
        )
    plain = _FUNCTION.sub(body, source).replace('extern "C" __global__', "__global__")
    state = (
        'extern "C" void allow(const unsigned char *from, long bytes) { readable.push_back({from, from + bytes}); }\n'
    )
    state += 'extern "C" long bank_conflicts() { return conflicts; }\n'
    kinds = f"static const Kind IN = {problem['dtype']}, OUT = {problem['out_dtype']};\n"
    return "\n".join(['#include "warps.hpp"', kinds, plain, state, *calls, ""])


def build(problem: Problem, candidate: Candidate, path: Path) -> Path:
    """The candidate as a library."""
    source = path.with_suffix(".cpp")
    source.write_text(on_host(problem, candidate.source))
    command = ["c++", "-std=c++17", "-O1", "-w", "-shared", "-fPIC", "-I", str(Path(__file__).parent)]
    subprocess.run([*command, str(source), "-o", str(path)], check=True)
    return path


class _Arrays:
    """Random inputs, an output of NaN and zeros for the workspace, each 16 bytes aligned with NaN around it."""

    def __init__(self, problem: Problem, workspace: dict[str, int]) -> None:
        rng = np.random.default_rng(1)
        self.kept: list[Any] = []
        self.by_name: dict[str, Any] = {}
        for buffer in op_named("gemm").buffers(problem):
            array = self._framed(buffer.shape, storage_dtype(buffer.dtype))
            if buffer.role == "input":
                array[...] = _random(rng, buffer.shape, buffer.dtype)
            self.by_name[buffer.name] = array
        for name, size in workspace.items():
            self.by_name[name] = self._framed((size,), np.dtype(np.uint8))
            self.by_name[name][...] = 0

    def _framed(self, shape: tuple[int, ...], dtype: Any) -> Any:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        whole = np.full(size + 2 * FRAME + 256, 0xFF, np.uint8)
        start = FRAME + 16 + (-(whole.ctypes.data + FRAME)) % 256
        self.kept.append((whole, start, size))
        return whole[start : start + size].view(dtype).reshape(shape)

    def untouched(self) -> bool:
        return all(
            (whole[:start] == 0xFF).all() and (whole[start + size :] == 0xFF).all() for whole, start, size in self.kept
        )


def _random(rng: Any, shape: tuple[int, ...], dtype: str) -> Any:
    if dtype == "int8":
        return rng.integers(-128, 128, shape)
    if dtype.startswith("fp8"):
        return rng.integers(0x20, 0x48, shape) | rng.integers(0, 2, shape) << 7  # neither NaN nor large
    normal = rng.standard_normal(shape).astype(np.float32)
    return normal.view(np.uint32) >> 16 if dtype == "bf16" else normal


def _widened(array: Any, dtype: str) -> Any:
    if dtype.startswith("fp8"):
        return fp8_values(dtype)[array]
    return (array.astype(np.uint32) << 16).view(np.float32) if dtype == "bf16" else array


def run(library: Path, problem: Problem, launch: Launch, seeds: Sequence[int]) -> dict[str, Any]:
    """Its largest error in units of the tolerance, bank conflicts, and whether all calls gave the same bits."""
    host, op = ctypes.CDLL(str(library)), op_named("gemm")
    host.bank_conflicts.restype = ctypes.c_long
    arrays = _Arrays(problem, dict(launch.workspace))
    for array in arrays.by_name.values():
        host.allow(ctypes.c_void_p(array.ctypes.data), ctypes.c_long(array.nbytes))
    results = []
    for seed in seeds:
        arrays.by_name["c"].view(np.uint8)[...] = 0xFF
        for part in (*launch.before, launch):
            _call(host, part, arrays.by_name, seed)
        results.append(arrays.by_name["c"].tobytes())
    buffers = op.buffers(problem)
    wide = {buffer.name: _widened(arrays.by_name[buffer.name], buffer.dtype) for buffer in buffers}
    computed, expected = op.evidence(problem, wide, np, np.random.default_rng(0))
    bound, off = op.tolerance(problem), np.abs(computed - expected)
    each = off / np.maximum(bound.rtol * np.abs(expected) + bound.atol, 1e-30)
    whole = np.linalg.norm(off) / max(bound.frobenius * np.linalg.norm(expected), 1e-30)
    error = max(float(each.max()), float(whole)) if np.isfinite(computed).all() else 1e9
    if not arrays.untouched():
        error = 1e10
    return {"error": error, "same": len(set(results)) == 1, "conflicts": host.bank_conflicts()}


def _call(host: Any, launch: Launch, arrays: dict[str, Any], seed: int) -> None:
    numbers = {"i32": ctypes.c_int32, "i64": ctypes.c_int64, "f32": ctypes.c_float}
    held = [numbers[a.type](a.value) if a.value is not None else None for a in launch.arguments]
    places = [
        ctypes.addressof(number) if number is not None else arrays[argument.name].ctypes.data
        for argument, number in zip(launch.arguments, held, strict=True)
    ]
    assert launch.block is not None
    grid = (ctypes.c_uint * 3)(*launch.grid)
    getattr(host, f"run_{launch.entry}")(
        (ctypes.c_void_p * len(places))(*places), grid, launch.block[0], launch.smem_bytes, ctypes.c_uint(seed)
    )


_CHILD = """
import json, sys
sys.path.insert(0, sys.argv[1])
import pathlib, warps
from kerntune.templates.catalogue import op_named
from kerntune.templates.template import Argument, Launch

def launched(data):
    data = {**data, "arguments": tuple(map(Argument.from_dict, data["arguments"]))}
    return Launch(**{**data, "before": tuple(map(launched, data["before"]))})

for case in json.load(sys.stdin):
    problem = op_named("gemm").problem("gpu", **case["fields"])
    outcome = warps.run(pathlib.Path(case["library"]), problem, launched(case["launch"]), case["seeds"])
    print(json.dumps(outcome), flush=True)
"""


def outcomes(
    cases: Sequence[tuple[Problem, Candidate]], folder: Path, seeds: Sequence[int] = (1, 2)
) -> list[dict[str, Any]]:
    """Of each candidate; a fault ends the rest. In a process of its own."""
    from dataclasses import asdict

    given = []
    for number, (problem, candidate) in enumerate(cases):
        library = build(problem, candidate, folder / f"kernel{number}.so")
        given.append(
            {
                "fields": dict(problem.fields),
                "library": str(library),
                "launch": asdict(candidate.launch),
                "seeds": list(seeds),
            }
        )
    command = [sys.executable, "-c", _CHILD, str(Path(__file__).parent)]
    ran = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=280, check=False)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    if ran.returncode and not any("fault" in line for line in lines):
        lines.append({"fault": ran.stderr[-2000:]})
    return lines
