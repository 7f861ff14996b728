"""The GEMM suite: every problem tuned within a budget, then its winner against all ways of the vendor library.

    python benchmarks/gemm_suite.py --time 20 --db suite.db --out benchmarks/results/NAME.json
        [--parts bf16 other] [--suite FILE] [--shape MxNxK…] [--template NAME…] [--trials N] [--rounds 40]
        [--no-transfer] [--limit SECONDS] [--warm-up SECONDS] [--picture docs/pictures/NAME.svg]

How: suite.py. Which problems: gemm_suite_problems.py.
"""

from __future__ import annotations

import sys

from gemm_suite_problems import PARTS, entries
from gemm_suite_report import summary
from suite import Suite, main

GEMM = Suite("gemm", "gemm_suite.py", PARTS, entries, summary, {"m": 512, "n": 512, "k": 512})

if __name__ == "__main__":
    main(GEMM, sys.argv[1:], __doc__)
