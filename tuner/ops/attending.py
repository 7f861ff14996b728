"""What users call: attention by the best known kernel, and which kernel that is."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from .arrays import Array
from .attention_request import AttentionWords
from .execution import Call
from .plan import Plan
from .planned import calls, libraries, plan


def attention(
    q: Array,
    k: Array,
    v: Array,
    causal: bool | str = False,
    window: int | None = None,
    scale: float | None = None,
    *,
    soft_cap: int | None = None,
    bias: Array | None = None,
    alibi_slopes: Array | None = None,
    return_lse: bool = False,
    out: Array | None = None,
    dtype: str | None = None,
) -> Any:
    """O = softmax(scale · Q Kᵀ, masked) V, by the fastest kernel known for these shapes on this device.

    `q` is [B,H,S,D], `k` and `v` [B,Hkv,Skv,D], of torch, CuPy or NumPy (or of a package that speaks DLPack); O is as
    `q`, made in the caller's current stream, or `out`. H is a multiple of Hkv. Views of [B,S,H,D] are taken as they
    lie, and O lies so too. `causal` counts from the first key, as torch does; "lower_right" from the last, as a cache
    of keys needs it. `window`: keys a query sees, its own included. `scale`: 1/√D where left out. `bias` [H,S,Skv] is
    added to scores, `alibi_slopes` [H] fp32 make them fall with distance. A query that sees no key gives zeros.

    With `return_lse` a pair, O and the natural log of each query's sum of exponentials [B,H,S], fp32. Where nothing is
    tuned the vendor library computes it (docs/ops.md).

    Raises: UsageError for what does not go together, NoAnswer where neither a kernel nor a vendor can compute it,
    DeviceError where a launch fails.
    """
    library = libraries.get(type(q))
    if library is not None:
        signature = library.signature
        try:
            given = (q, k, v, bias, alibi_slopes)
            signatures = (None if array is None else signature(array) for array in given)
            key: Hashable = ("attention", causal, window, scale, soft_cap, return_lse, dtype, *signatures)
            if out is not None:
                key = (key, signature(out))
            call = calls.get(key)
        except (AttributeError, TypeError, RuntimeError):  # not all of this library, or no plain arrays: said below
            call = None
        if call is not None:
            return call.run((q, k, v) if bias is alibi_slopes is None else [x for x in given if x is not None], out)
    words = AttentionWords(causal, window, scale, soft_cap, return_lse, dtype)
    call, arrays, written = _planned(words, q, k, v, bias, alibi_slopes, out)
    made = call.run(arrays, written)
    if out is None:
        return made
    return (out, *made[1:]) if return_lse else out


def attention_plan(
    q: Array,
    k: Array,
    v: Array,
    causal: bool | str = False,
    window: int | None = None,
    scale: float | None = None,
    *,
    soft_cap: int | None = None,
    bias: Array | None = None,
    alibi_slopes: Array | None = None,
    return_lse: bool = False,
    out: Array | None = None,
    dtype: str | None = None,
) -> Plan:
    """Which kernel `attention` with the same arguments runs, and why. It computes nothing, but makes the kernel ready.

    Raises: as attention.
    """
    words = AttentionWords(causal, window, scale, soft_cap, return_lse, dtype)
    return _planned(words, q, k, v, bias, alibi_slopes, out)[0].plan


def _planned(
    words: AttentionWords, q: Array, k: Array, v: Array, bias: Array, alibi_slopes: Array, out: Array
) -> tuple[Call, tuple[Array, ...], Array | None]:
    named = {"q": q, "k": k, "v": v, "bias": bias, "alibi_slopes": alibi_slopes, "out": out}
    said = (words.causal, words.window, words.scale, words.soft_cap, words.return_lse, words.dtype)
    return plan("attention", said, lambda library: words, named)
