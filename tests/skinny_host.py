"""cuda_skinny on a processor: its blocks as fibers, its instructions as functions that do what PTX ISA says.

What is asynchronous on a GPU happens here at once or as late as it may: one shows what is overwritten too early, the
other what is read too early. A deadlock, an access outside the operands and one that is not aligned end the run.
"""

import ctypes
import subprocess
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


class HostMap(ctypes.Structure):
    """A tensor map as the emulated TMA reads it."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        *((name, ctypes.c_longlong) for name in ("rows", "columns")),
        *((name, ctypes.c_int) for name in ("element", "box_rows", "box_columns", "swizzle")),
    )


def compiled(candidate, folder, dtype):
    """The kernel of a candidate as a library; its out_dtype must be fp32, or int32 of int8."""
    _, kernel = candidate.source.split("// Kernel", 1)
    kernel = kernel.replace(
        "extern __shared__ __align__(1024) unsigned char memory[];", "unsigned char *memory = block_memory();"
    )
    assert "asm" not in kernel
    config = dict(candidate.config)
    defined = {
        "OUT_TYPE": "int" if dtype == "int8" else "float",
        "SUM_TYPE": "int" if dtype == "int8" else "float",
        "WEIGHTS_TYPE": "Map" if config["LOADS"] == "tma" else "const unsigned char *",
        "GIVEN": "weights, tokens, c" + (", partials, arrivals" if candidate.launch.workspace else ""),
        "CLUSTER": config["SPLIT"] if config.get("REDUCE") == "cluster" else 1,
    }
    path = folder / f"{candidate.config.digest}.cpp"
    path.write_text(f'#include "skinny_host.hpp"\n//{kernel}\n#include "skinny_run.hpp"\n')
    command = ["g++", "-std=c++17", "-O1", "-w", "-shared", "-fPIC", f"-I{HERE}"]
    command += [f"-D{name}={value}" for name, value in defined.items()]
    made = subprocess.run([*command, path, "-o", path.with_suffix(".so")], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[:3000]
    return path.with_suffix(".so")


def run(candidate, library, problem, lazy):
    """C as the candidate computes it from small integers, twice with one workspace, and as it should be.

    It runs in this process, which a fault of the kernel ends.
    """
    m, n, k = (problem.dim(letter) for letter in "mnk")
    layout, eight = problem["layout"], problem["dtype"] == "int8"
    rng = np.random.default_rng(0)
    a, b = rng.integers(-4, 5, (m, k)), rng.integers(-4, 5, (k, n))

    def stored(matrix, turned):
        lying = np.ascontiguousarray(matrix.T if turned else matrix)
        bits = lying.astype(np.int8) if eight else (lying.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        whole = np.zeros(bits.nbytes + 16, np.uint8)
        start = -whole.ctypes.data % 16
        whole[start : start + bits.nbytes] = bits.reshape(-1).view(np.uint8)
        return whole[start : start + bits.nbytes]

    held = {"a": stored(a, layout[0] == "t"), "b": stored(b, layout[1] == "t")}
    names = ("a", "b") if m > n else ("b", "a")
    launch, given = candidate.launch, []
    for name, argument in zip(names, launch.arguments, strict=False):
        tensor, data = argument.tensor, held[name].ctypes.data
        assert (tensor.buffer if tensor else argument.name) == name
        if tensor:
            assert tensor.refusal is None, tensor.refusal
            swizzle = 0 if tensor.swizzle == "none" else int(tensor.swizzle[:-1])
            given.append(HostMap(data, *tensor.shape, 1 if eight else 2, *tensor.box, swizzle))
        else:
            given.append(ctypes.c_void_p(data))
    frame = np.full(m * n + 512, 77, np.int32 if eight else np.float32)
    spaces = {name: np.zeros(size, np.uint8) for name, size in launch.workspace.items()}
    pointers = [
        ctypes.c_void_p(spaces[name].ctypes.data) if name in spaces else None for name in ("partials", "arrivals")
    ]
    read = [
        part
        for name in names
        for part in (ctypes.c_void_p(held[name].ctypes.data), ctypes.c_longlong(held[name].nbytes))
    ]
    c = ctypes.c_void_p(frame.ctypes.data + 1024)
    sizes = (launch.grid[0], launch.smem_bytes, int(lazy))
    for _ in range(2):
        frame[256:-256] = 99
        ctypes.CDLL(str(library)).run(*given, *read, c, *pointers, *sizes)
    assert (frame[:256] == 77).all(), "it stored before C"
    assert (frame[-256:] == 77).all(), "it stored behind C"
    return frame[256:-256].reshape(m, n), a @ b
