"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Sized

from ...spaces.problems import Problem
from ...templates.catalogue import op_named


def time_of(us: float) -> str:
    """A kernel's time: 850 ns, 13.6 µs, 7.12 ms, 1.25 s."""
    for limit, scale, unit in ((1.0, 1e3, "ns"), (1e3, 1.0, "µs"), (1e6, 1e-3, "ms")):
        if us < limit:
            return f"{us * scale:.3g} {unit}" if us * scale < 100 else f"{us * scale:.0f} {unit}"
    return f"{us / 1e6:.3g} s"


def count_of(things: Sized, name: str) -> str:
    """1 problem, 2 problems."""
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things):,} {name}s"


def name_of(problem: Problem) -> str:
    """Op, shape, dtype, layout, and what does not follow from those: gemm 64x64x64 bf16 nn epilogue=bias."""
    op = op_named(problem.op)
    return " ".join([op.name, op.shape_of(problem), str(problem["dtype"]), str(problem["layout"]), *stated(problem)])


def stated(problem: Problem) -> list[str]:
    """Every field that does not follow from shape, dtype and layout: epilogue=bias, causal=yes."""
    op = op_named(problem.op)
    said = {name: problem[name] for name in (*op.letters, "dtype", "layout")}
    plain = op.problem("gpu", **said)  # the kind of device decides on nothing but the dtype
    return [f"{field.name}={problem[field.name]}" for field in op.fields if problem[field.name] != plain[field.name]]


def tflops(problem: Problem, us: float) -> float:
    """TFLOP/s: the problem's floating-point operations over its time."""
    return problem.dim("flops") / us / 1e6


def rate(problem: Problem, us: float) -> str:
    """GFLOP/s below one TFLOP/s, else TFLOP/s."""
    value = tflops(problem, us)
    return f"{value:.1f} TFLOP/s" if value >= 1 else f"{value * 1e3:.1f} GFLOP/s"


def duration(seconds: float) -> str:
    """Seconds as 45 s or 2 min 5 s."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def size_of(size_bytes: int) -> str:
    """Bytes as 512 B, 12.3 kB, 4.56 MB, 1.2 GB."""
    for limit, scale, unit in ((1e3, 1.0, "B"), (1e6, 1e3, "kB"), (1e9, 1e6, "MB")):
        if abs(size_bytes) < limit:
            return f"{size_bytes / scale:.3g} {unit}"
    return f"{size_bytes / 1e9:.3g} GB"
