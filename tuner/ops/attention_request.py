"""What a call of attention asks for, read from its arrays. Pure: it looks at views, at no array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...spaces.errors import ProblemError, ShapeError
from ...spaces.problems import Problem
from ...templates.catalogue import op_named
from .arrays import Library, VendorCall, View
from .asked import ALIGNED_BYTES, Output, Request

KNOWN = ("fp32", "bf16", "fp16")

BESIDE = {"bias": "additive", "alibi_slopes": "alibi"}
"""Arrays that may be added to scores, and what the op calls that."""


@dataclass(frozen=True, slots=True)
class AttentionWords:
    """What a call says beside its arrays."""

    causal: str | bool = False
    window: int | None = None
    scale: float | None = None
    soft_cap: int | None = None
    return_lse: bool = False
    dtype: str | None = None

    def read(self, views: Mapping[str, View]) -> Request:
        """See Asked."""
        q = views["q"]
        _one_device(views)
        dtype = _dtype(views, self.dtype)
        b, h, s, d, kv_heads, kv_len = _dims(views)
        swapped = _all_swapped(views)
        sizes = {"b": b, "h": h, "s": s, "d": d, "kv_heads": kv_heads, "kv_len": kv_len}
        problem = op_named("attention").problem(
            "cpu" if q.device == "cpu" else "gpu",
            **{name: max(1, size) for name, size in sizes.items()},
            dtype=dtype,
            causal=self.causal,
            window="none" if self.window is None else self.window,
            soft_cap="none" if self.soft_cap is None else self.soft_cap,
            bias=next((word for name, word in BESIDE.items() if name in views), "none"),
            layout="bshd" if swapped else "bhsd",
            lse=self.return_lse,
        )
        _check_beside(views, problem, (h, s, kv_len))
        outputs = [Output((b, h, s, d), dtype, swapped)]
        outputs += [Output((b, h, s), "fp32")] if self.return_lse else []
        uneven = tuple(name for name, view in views.items() if _is_uneven(view, swapped))
        scale = max(1, d) ** -0.5 if self.scale is None else float(self.scale)
        return Request(
            problem,
            tuple(outputs),
            q.device,
            empty=0 in sizes.values(),
            uneven=uneven,
            turned=(),
            moved_bytes=sum(2 * views[name].bytes for name in uneven),
            numbers={"scale": scale},
            refusal=None if scale > 0 else "kernels take a scale above 0: the largest score is theirs to find first",
        )

    def vendor(self, library: Library, request: Request) -> VendorCall | str:
        """See Asked."""
        return library.attention(request.problem, request.numbers["scale"], str(request.problem["causal"]))

    def of_copies(self, request: Request) -> AttentionWords:
        """See Asked."""
        return self


def _one_device(views: Mapping[str, View]) -> None:
    q = views["q"]
    for view in views.values():
        if view.device != q.device:
            raise ProblemError(
                f"attention: q is on {q.device} and {view.name} on {view.device}. Move one: all arrays of a call are "
                "on one device."
            )


def _dtype(views: Mapping[str, View], said: str | None) -> str:
    q, k, v = (views[name].dtype for name in "qkv")
    if not q == k == v:
        raise ProblemError(f"attention: q is {q}, k {k} and v {v}. Convert them: all are of one dtype.")
    if q == "uint16" and said == "bf16":
        return "bf16"
    if q not in KNOWN:
        bits = " (bits of bf16 are told by dtype=bf16)" if q == "uint16" else ""
        raise ProblemError(f"attention: q, k and v are {q}{bits}. It takes {', '.join(KNOWN)}: convert them.")
    if said not in (None, q) and not (q == "fp32" and said in ("tf32", "tf32x3")):
        raise ProblemError(f"attention: dtype={said}, and q, k and v are {q}: leave dtype out.")
    return said or q


def _dims(views: Mapping[str, View]) -> tuple[int, int, int, int, int, int]:
    """b, h, s, d, kv_heads, kv_len. Raises: ShapeError."""
    q, k, v = (views[name].shape for name in "qkv")
    if not len(q) == len(k) == len(v) == 4:
        raise ShapeError(
            f"attention: q is {list(q)}, k {list(k)} and v {list(v)}: each is [B, heads, length, D]. Of one sequence, "
            "q[None]; of tokens before heads, q.transpose(1, 2), which is not copied."
        )
    if k != v:
        raise ShapeError(f"attention: k is {list(k)} and v {list(v)}: they are of one shape.")
    if (q[0], q[3]) != (k[0], k[3]):
        raise ShapeError(f"attention: q is {list(q)} and k {list(k)}: B, the first, and D, the last, are the same.")
    if q[1] % max(1, k[1]):
        raise ShapeError(
            f"attention: q has {q[1]} heads and k {k[1]}: each key head serves as many query heads. Are heads and "
            "length the other way round? q.transpose(1, 2)"
        )
    return (*q, k[1], k[2])


def _check_beside(views: Mapping[str, View], problem: Problem, sizes: tuple[int, int, int]) -> None:
    if "bias" in views and "alibi_slopes" in views:
        raise ProblemError("attention: bias and alibi_slopes are both given: add the slopes to the bias.")
    dtype = str(problem["dtype"])
    b, h, s, d = views["q"].shape
    wanted = {"bias": (dtype, sizes), "alibi_slopes": ("fp32", sizes[:1]), "out": (dtype, (b, h, s, d))}
    for name, (type_, shape) in wanted.items():
        view = views.get(name)
        if view is None:
            continue
        if not view.is_stored_as(type_):
            raise ProblemError(f"attention: {name} is {view.dtype}, and is to be {type_} here: convert it.")
        if view.shape != shape and not (name == "bias" and view.shape == (1, *shape)):
            raise ShapeError(f"attention: {name} is {list(view.shape)}, and is to be {list(shape)} here.")


def _swapped(view: View) -> View:
    """As it lies where tokens come before heads."""
    (b, h, s, d), (of_b, of_h, of_s, of_d) = view.shape, view.strides
    return View(view.name, (b, s, h, d), (of_b, of_s, of_h, of_d), view.dtype, view.device, view.address)


def _all_swapped(views: Mapping[str, View]) -> bool:
    """Whether q, k, v and out all lie with tokens before heads, and not all the other way too."""
    seen = [views[name] for name in ("q", "k", "v", "out") if name in views]
    return all(_swapped(view).is_dense for view in seen) and not all(view.is_dense for view in seen)


def _is_uneven(view: View, swapped: bool) -> bool:
    aligned = view.element_bytes if view.device == "cpu" else ALIGNED_BYTES
    seen = _swapped(view) if swapped and len(view.shape) == 4 and view.name in ("q", "k", "v", "out") else view
    return view.address % aligned != 0 or not seen.is_dense
