"""Multiply by the best known kernel, tune, and multiply again: python examples/ops_gemm.py [M N K]"""

import sys

import kerntune
import numpy as np
from kerntune import ops


def main() -> None:
    """On the processor, with NumPy; torch and CuPy arrays on a GPU go the same way."""
    m, n, k = (int(text) for text in sys.argv[1:4]) if len(sys.argv) >= 4 else (512, 512, 512)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
    print(ops.gemm_plan(a, b))
    kerntune.tune("gemm", m=m, n=n, k=k, device="cpu", trials=10, time_s=30)
    ops.forget()
    print(ops.gemm_plan(a, b))
    assert np.allclose(ops.gemm(a, b), a @ b, rtol=1e-3, atol=1e-3)


if __name__ == "__main__":
    main()
