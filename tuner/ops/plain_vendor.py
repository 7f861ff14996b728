"""The vendor's product of NumPy and CuPy arrays: their matmul, and the rest of the request in their own functions."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from ...spaces.problems import Problem
from ...templates.gemm.epilogue import SCALED_BLOCK

_COMPUTED = ("fp32", "tf32", "tf32x3", "fp16", "int8")
_STORED = {"fp32": "float32", "fp16": "float16", "int32": "int32", "int8": "int8"}


def refusal(problem: Problem, library: str) -> str | None:
    """Why the library does not compute a problem, or None."""
    if problem["dtype"] not in _COMPUTED or problem["out_dtype"] not in _STORED:
        return f"{library} has no {problem['dtype'] if problem['dtype'] not in _COMPUTED else problem['out_dtype']}"
    return None


class PlainProduct:
    """See VendorCall; sums in fp64 for integers, where it is exact, else in fp32."""

    def __init__(self, problem: Problem, layout: str, xp: Any) -> None:
        self.name = f"{xp.__name__}.matmul"
        self._xp, self._layout, self._scales = xp, layout, str(problem["scales"])
        self._out, self._activation = _STORED[str(problem["out_dtype"])], str(problem["activation"])
        self._integers = problem["dtype"] == "int8"
        self._plain = problem["epilogue"] == problem["scales"] == "none" and problem["dtype"] not in ("fp16", "int8")
        self._plain &= self._out == "float32"

    def __call__(self, arrays: Mapping[str, Any], out: Any) -> Any:
        a, b = (
            arrays[name].swapaxes(-1, -2) if letter == "t" else arrays[name]
            for name, letter in zip("ab", self._layout, strict=True)
        )
        if self._plain:
            return self._xp.matmul(a, b, out=out)
        made = self._finished(self._sums(a, b, arrays), arrays).astype(self._out)
        if out is None:
            return made
        out[...] = made
        return out

    def _sums(self, a: Any, b: Any, arrays: Mapping[str, Any]) -> Any:
        if self._scales == "block128":
            a, b = self._scaled(a, arrays["a_scale"], 1), self._scaled(b, arrays["b_scale"], SCALED_BLOCK)
        wide = "float64" if self._integers else "float32"
        return self._xp.matmul(a.astype(wide), b.astype(wide))

    def _finished(self, sums: Any, arrays: Mapping[str, Any]) -> Any:
        if self._scales in ("tensor", "row"):
            lead, (m, n) = sums.shape[:-2], sums.shape[-2:] if self._scales == "row" else (1, 1)
            sums = sums * arrays["a_scale"].reshape(*lead, m, 1) * arrays["b_scale"].reshape(*lead, 1, n)
        if "bias" in arrays:
            sums = sums + arrays["bias"]
        sums = self._activated(sums)
        return sums + arrays["residual"] if "residual" in arrays else sums

    def _activated(self, x: Any) -> Any:
        if self._activation == "relu":
            return self._xp.maximum(x, 0)
        if self._activation == "gelu":
            special = importlib.import_module(
                "scipy.special" if self._xp.__name__ == "numpy" else "cupyx.scipy.special"
            )
            return x * 0.5 * (1 + special.erf(x * 0.5**0.5))
        if self._activation == "silu":
            return x * 0.5 * (1 + self._xp.tanh(x * 0.5))  # e^-x would overflow
        return x

    def _scaled(self, matrix: Any, scale: Any, rows: int) -> Any:
        """A matrix times the scales of its blocks, which are `rows` high and SCALED_BLOCK wide."""
        high = self._xp.repeat(scale, rows, axis=-2)[..., : matrix.shape[-2], :]
        return matrix * self._xp.repeat(high, SCALED_BLOCK, axis=-1)[..., : matrix.shape[-1]]
