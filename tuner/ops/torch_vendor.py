"""The vendor's product of torch tensors: torch.matmul, and the rest of the request in torch's own ops.

It is differentiable where `out` is not given, and rounds where torch does: the sums to the inputs' dtype, then after
each step of the epilogue. Flags such as allow_tf32 are the caller's and are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ...spaces.problems import Problem
from ...templates.gemm.epilogue import SCALED_BLOCK
from ...templates.gemm.reference import LARGEST

_DTYPES = {
    **{"fp32": torch.float32, "tf32": torch.float32, "tf32x3": torch.float32, "bf16": torch.bfloat16},
    **{"fp16": torch.float16, "int8": torch.int8, "int32": torch.int32},
    **{"fp8e4m3": torch.float8_e4m3fn, "fp8e5m2": torch.float8_e5m2},
}

_ACTIVATIONS = {"relu": torch.relu, "gelu": torch.nn.functional.gelu, "silu": torch.nn.functional.silu}

_SUMS_IN_FP32 = "dtype" in torch.ops.aten.mm.overloads()
"""Whether products of 16-bit matrices come in fp32 on a GPU: torch 2.8 and later."""


class TorchProduct:
    """See VendorCall."""

    name = "torch.matmul"

    def __init__(self, problem: Problem, layout: str) -> None:
        self._layout, self._scales = layout, str(problem["scales"])
        self._dtype, self._out = _DTYPES[str(problem["dtype"])], _DTYPES[str(problem["out_dtype"])]
        self._most = LARGEST.get(str(problem["out_dtype"]))
        self._activation = _ACTIVATIONS.get(str(problem["activation"]))
        self._plain = problem["epilogue"] == problem["scales"] == "none" and self._dtype == self._out
        self._plain &= self._dtype not in (torch.int8, torch.float8_e4m3fn, torch.float8_e5m2)

    def __call__(self, arrays: Mapping[str, Any], out: Any) -> Any:
        a, b = (
            arrays[name].mT if letter == "t" else arrays[name] for name, letter in zip("ab", self._layout, strict=True)
        )
        if self._plain:
            return torch.matmul(a, b, out=out)
        made = self._finished(self._sums(a, b, arrays), arrays)
        return made if out is None else out.copy_(made)

    def _sums(self, a: Any, b: Any, arrays: Mapping[str, Any]) -> Any:
        """A · B; scaled where scales change inside K."""
        if self._scales == "block128":
            return torch.matmul(_scaled(a, arrays["a_scale"], 1), _scaled(b, arrays["b_scale"], SCALED_BLOCK))
        if self._dtype == torch.int8:  # exact in fp64: K · 127² is below 2^53
            sums = torch.matmul(a.double(), b.double())
            return sums.to(torch.int32 if self._scales == "none" and self._out == torch.int32 else torch.float32)
        if a.dtype in (torch.float8_e4m3fn, torch.float8_e5m2):
            a, b = a.to(torch.bfloat16), b.to(torch.bfloat16)  # exact
        return self._unrounded(a, b)

    def _unrounded(self, a: Any, b: Any) -> Any:
        if a.dtype == self._out and self._scales == "none":
            return torch.matmul(a, b)
        flows = torch.is_grad_enabled() and (a.requires_grad or b.requires_grad)
        if a.is_cuda and a.dtype != torch.float32 and _SUMS_IN_FP32 and not flows:
            return (torch.mm if a.dim() == 2 else torch.bmm)(a, b, out_dtype=torch.float32)
        return torch.matmul(a.float(), b.float())

    def _finished(self, sums: Any, arrays: Mapping[str, Any]) -> Any:
        if self._scales != "none" and self._scales != "block128":
            lead, (m, n) = sums.shape[:-2], sums.shape[-2:] if self._scales == "row" else (1, 1)
            sums = sums.float() * arrays["a_scale"].reshape(*lead, m, 1) * arrays["b_scale"].reshape(*lead, 1, n)
        if "bias" in arrays:
            sums = sums + arrays["bias"]
        if self._activation is not None:
            sums = self._activation(sums)
        if "residual" in arrays:
            sums = sums + arrays["residual"]
        if self._most is not None:
            sums = sums.clamp(-self._most, self._most)
        return sums.to(self._out)


def _scaled(matrix: Any, scale: Any, rows: int) -> Any:
    """A matrix times the scales of its blocks, in fp32; blocks are `rows` high and SCALED_BLOCK wide."""
    high = scale.repeat_interleave(rows, -2)[..., : matrix.shape[-2], :]
    return matrix.float() * high.repeat_interleave(SCALED_BLOCK, -1)[..., : matrix.shape[-1]]
