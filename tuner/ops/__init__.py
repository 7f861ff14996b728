"""The tuned kernels as functions: `from kerntune import ops`."""

from .attending import attention, attention_plan
from .calls import gemm, gemm_plan
from .plan import Plan
from .planned import forget

__all__ = ["Plan", "attention", "attention_plan", "forget", "gemm", "gemm_plan"]
