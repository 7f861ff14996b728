"""The attention suite: every problem tuned within a budget, then its winner against torch's backends, each by name.

    python benchmarks/attention_suite.py --time 40 --db suite.db --out benchmarks/results/NAME.json
        [--parts prefill decode] [--suite FILE] [--shape BxHxSxD…] [--template NAME…] [--trials N] [--rounds 40]
        [--no-transfer] [--limit SECONDS] [--warm-up SECONDS] [--picture docs/pictures/NAME.svg]

How: suite.py. Which problems and what they come to: attention_suite_problems.py, attention_suite_report.py.
"""

from __future__ import annotations

import sys

from attention_suite_problems import PARTS, entries
from attention_suite_report import summary
from suite import Suite, main

ATTENTION = Suite(
    "attention", "attention_suite.py", PARTS, entries, summary, {"b": 2, "h": 4, "s": 512, "d": 64, "causal": "yes"}
)

if __name__ == "__main__":
    main(ATTENTION, sys.argv[1:], __doc__)
