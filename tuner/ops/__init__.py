"""The tuned kernels as functions: `from kerntune import ops`."""

from .calls import forget, gemm, gemm_plan
from .plan import Plan

__all__ = ["Plan", "forget", "gemm", "gemm_plan"]
