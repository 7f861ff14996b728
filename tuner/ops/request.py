"""What a call of gemm asks for, read from its arrays. Pure: it looks at views, at no array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...spaces.errors import ProblemError, ShapeError
from ...spaces.problems import Problem
from ...templates.catalogue import op_named
from ...templates.op import DTYPE_ALIASES, Buffer
from .arrays import Library, VendorCall, View
from .asked import ALIGNED_BYTES, Output, Request

WAYS = {"fp32": ("fp32", "tf32", "tf32x3"), "uint16": ("bf16",), "uint8": ("fp8e4m3", "fp8e5m2")}
"""How elements of a type may be multiplied; every other type in its own way only."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a call says beside its arrays."""

    layout: str = "nn"
    epilogue: str = "none"
    scales: str = "none"
    out_dtype: str | None = None
    dtype: str | None = None

    def read(self, views: Mapping[str, View]) -> Request:
        """See Asked."""
        return read(views, self)

    def vendor(self, library: Library, request: Request) -> VendorCall | str:
        """See Asked."""
        return library.product(request.problem, self.layout)

    def of_copies(self, request: Request) -> Words:
        """See Asked."""
        return replace(self, out_dtype=str(request.problem["out_dtype"]))


def read(views: Mapping[str, View], words: Words) -> Request:
    """The request of views by argument name. Raises: UsageError, with what is off, where, and how to mend it."""
    a, b = views["a"], views["b"]
    _one_device(views)
    dtype = _dtype(a, b, words.dtype)
    batch, m, n, k = _dims(a, b, words.layout)
    shape = (m, n) if len(a.shape) == 2 else (batch, m, n)
    letters = "".join(_letter(view, letter) for view, letter in zip((a, b), words.layout, strict=True))
    out_dtype = words.out_dtype or _dtype_of_out(views.get("out"), words)
    fields = {"m": m, "n": n, "k": k, "batch": batch}
    problem = op_named("gemm").problem(
        "cpu" if a.device == "cpu" else "gpu",
        **{name: max(1, size) for name, size in fields.items()},
        dtype=dtype,
        out_dtype=out_dtype,
        layout=letters,
        epilogue=words.epilogue,
        scales=words.scales,
    )
    empty = 0 in fields.values()
    _others(views, problem, shape, empty)
    uneven = tuple(name for name, view in views.items() if _is_uneven(view))
    moved = sum(2 * views[name].bytes for name in uneven)
    turned = tuple(
        view.name for view, letter, said in zip((a, b), letters, words.layout, strict=True) if letter != said
    )
    outputs = (Output(shape, str(problem["out_dtype"])),)
    return Request(problem, outputs, a.device, empty, uneven, turned, moved)


def _one_device(views: Mapping[str, View]) -> None:
    a = views["a"]
    for view in views.values():
        if view.device != a.device:
            raise ProblemError(
                f"gemm: a is on {a.device} and {view.name} on {view.device}. Move one: all arrays of a call are on one "
                "device."
            )


def _dtype(a: View, b: View, said: str | None) -> str:
    said = DTYPE_ALIASES.get(str(said), said)
    if a.dtype != b.dtype:
        raise ProblemError(f"gemm: a is {a.dtype} and b {b.dtype}. Convert one: both are of one dtype.")
    known = ("fp32", "bf16", "fp16", "int8", "fp8e4m3", "fp8e5m2")
    ways = WAYS.get(a.dtype, (a.dtype,) if a.dtype in known else ())
    if not ways:
        raise ProblemError(f"gemm: a and b are {a.dtype}. It multiplies {', '.join(known)}: convert them.")
    if said is None and a.dtype in ("uint16", "uint8"):
        raise ProblemError(f"gemm: a and b are {a.dtype}: say what the bits are by dtype={' or '.join(ways)}.")
    if said is not None and said not in ways:
        raise ProblemError(f"gemm: dtype={said}, and a and b are {a.dtype}, which it multiplies as {', '.join(ways)}.")
    return said or ways[0]


def _dims(a: View, b: View, layout: str) -> tuple[int, int, int, int]:
    """batch, m, n, k. Raises: ShapeError."""
    if layout not in ("nn", "nt", "tn", "tt"):
        op_named("gemm").problem("cpu", m=1, n=1, k=1, layout=layout)  # says which there are
    ranks = len(a.shape), len(b.shape)
    if ranks not in ((2, 2), (3, 3)):
        raise ShapeError(
            f"gemm: a is {list(a.shape)} and b {list(b.shape)}: both are matrices, or both batches of them. Of a stack "
            "of rows times one matrix, make one matrix: a.reshape(-1, k)."
        )
    (m, k), (k_of_b, n) = (
        each.shape[-2:] if letter == "n" else each.shape[:-3:-1] for each, letter in zip((a, b), layout, strict=True)
    )
    if k != k_of_b:
        other = layout[0] + ("t" if layout[1] == "n" else "n")
        hint = f" Is it layout={other}?" if b.shape[-1 if layout[1] == "n" else -2] == k else ""
        raise ShapeError(
            f"gemm: layout {layout} reads a {list(a.shape)} as M x K = {m} x {k} and b {list(b.shape)} as "
            f"K x N = {k_of_b} x {n}: the two K differ.{hint}"
        )
    if a.shape[:-2] != b.shape[:-2]:
        raise ShapeError(f"gemm: a is a batch of {a.shape[0]} and b of {b.shape[0]}: they are of one length.")
    return (a.shape[0] if ranks == (3, 3) else 1), m, n, k


def _letter(view: View, letter: str) -> str:
    """The letter of an operand as it lies in memory: that of its transpose where only that is contiguous."""
    turned = not view.is_dense and view.is_turned
    return {"n": "t", "t": "n"}[letter] if turned else letter


def _dtype_of_out(out: View | None, words: Words) -> str | None:
    """What C is of where the caller's own array says it."""
    if out is None or out.dtype in ("uint16", "uint8"):
        return None
    return out.dtype


def _others(views: Mapping[str, View], problem: Problem, shape: tuple[int, ...], empty: bool) -> None:
    """Check what is read beside A and B, and `out`. Raises: ProblemError, ShapeError."""
    buffers = {buffer.name: buffer for buffer in op_named("gemm").buffers(problem) if buffer.name not in "abc"}
    words = f"epilogue={problem['epilogue']}, scales={problem['scales']}"
    for name in buffers:
        if name not in views:
            raise ProblemError(f"gemm: {words} reads {name}, which is not given: pass {name}=.")
    for name, view in views.items():
        if name in ("a", "b"):
            continue
        if name != "out" and name not in buffers:
            raise ProblemError(f"gemm: {name} is given, and {words} does not read it: leave it out, or say what does.")
        _fits(view, _dtype_wanted(name, problem, buffers), _shapes(name, buffers, shape), empty)


def _dtype_wanted(name: str, problem: Problem, buffers: Mapping[str, Buffer]) -> str:
    return str(problem["out_dtype"]) if name == "out" else buffers[name].dtype


def _shapes(name: str, buffers: Mapping[str, Buffer], shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The shapes an argument may have."""
    if name in ("out", "residual"):
        return (shape,)
    if name == "bias":
        return (shape[-1:],)
    wanted = buffers[name].shape  # of scales: a column or a row of them is welcome too
    return (wanted, (*wanted, 1), (*wanted[:-1], 1, wanted[-1]), wanted[:-1] if wanted[-1] == 1 else wanted)


def _fits(view: View, dtype: str, shapes: tuple[tuple[int, ...], ...], empty: bool) -> None:
    if not view.is_stored_as(dtype):
        raise ProblemError(f"gemm: {view.name} is {view.dtype}, and is to be {dtype} here: convert it.")
    if view.shape not in shapes and not (empty and view.name.endswith("_scale")):
        raise ShapeError(f"gemm: {view.name} is {list(view.shape)}, and is to be {list(shapes[0])} here.")


def _is_uneven(view: View) -> bool:
    aligned = view.element_bytes if view.device == "cpu" else ALIGNED_BYTES
    matrix = view.name in ("a", "b")
    return view.address % aligned != 0 or not (view.is_dense or (matrix and view.is_turned))
