"""Tune a matrix product for this machine, then look it up: python examples/tune_gemm.py [M N K]"""

import sys

import kerntune


def main() -> None:
    """Tune, look up, and say what was found."""
    m, n, k = (int(text) for text in sys.argv[1:4]) if len(sys.argv) >= 4 else (512, 512, 512)
    answer = kerntune.tune("gemm", m=m, n=n, k=k, trials=20, time_s=30)
    print(f"{answer.template}: {answer.config}")
    if answer.speedup is not None:
        print(f"{answer.median_us:.1f} µs ± {answer.spread_us:.1f}, {answer.speedup:.2f} × {answer.baseline_name}")
    again = kerntune.lookup("gemm", m=m, n=n, k=k)
    assert again is not None
    print(f"looked up: {again.match}, {again.samples} samples")


if __name__ == "__main__":
    main()
