"""C kernels with faults, as artifacts: what a template could do at its worst."""

from __future__ import annotations

import subprocess
from pathlib import Path

from kerntune.spaces.config import Config
from kerntune.templates.template import Argument, Candidate, Launch
from kerntune.tuner.backends.artifact import Artifact

LAUNCH = Launch("gemm", (Argument("a", "const float *"), Argument("b", "const float *"), Argument("c", "float *")))

RIGHT = """
    for (long i = 0; i < M; i++) for (long j = 0; j < N; j++) {
        float sum = 0;
        for (long p = 0; p < K; p++) sum += a[i * K + p] * b[p * N + j];
        c[i * N + j] = sum;
    }
"""
BODIES = {
    "right": RIGHT,
    "prints": 'printf("garbage on standard output\\n"); fflush(stdout);' + RIGHT,
    "wrong in one element": RIGHT + "c[M * N / 2] += 1.0f;",
    "one product short": RIGHT + "c[0] -= a[K - 1] * b[(K - 1) * N];",
    "an element not written": RIGHT + "c[7] = 0.0f / 0.0f;",
    "hangs": "volatile int on = 1; while (on) {}",
    "segfaults": "*(volatile int *)16 = 1;",
    "aborts": "abort();",
    "exits": "exit(3);",
    "killed": "raise(SIGKILL);",
    "no memory": "return 1;",
    "writes past c": RIGHT + "c[M * N + 16] = c[M * N + 17] = c[M * N + 18] = 1;",
    "writes before c": RIGHT + "c[-2] = 1;",
    "writes a": RIGHT + "((float *)a)[K + 3] = 0;",
    "reads past a": RIGHT + "volatile float lost = a[M * K];",
    "reads past b": RIGHT + "volatile float lost = b[K * N];",
    "reads before b": RIGHT + "volatile float lost = b[-1];",
    "uses what lies past b": RIGHT + "c[5] += 0 * b[K * N];",
    "allocates without end": "for (;;) memset(malloc(1 << 24), 1, 1 << 24);",
    "right by turns": "static int turn;" + RIGHT + "if (turn++ % 2) c[9] += 1;",
    "rounds by turns": "static int turn;" + RIGHT + "if (turn++ % 2) c[9] *= 1.0000001f;",
}


def source(body: str, m: int = 64, n: int = 48, k: int = 32) -> str:
    """A kernel of nn layout with these dims and this body."""
    head = "#include <stdio.h>\n#include <stdlib.h>\n#include <signal.h>\n#include <string.h>\n"
    sizes = f"enum {{ M = {m}, N = {n}, K = {k} }};\n"
    return f"{head}{sizes}int gemm(const float *a, const float *b, float *c) {{ {body} return 0; }}\n"


def candidate(text: str) -> Candidate:
    """A candidate of this source."""
    return Candidate("hand_written", "cpu", Config({}), text, ".c", LAUNCH)


def build(folder: Path, name: str, body: str | None = None) -> Artifact:
    """The named kernel, or one of this body, compiled."""
    path = folder / f"{name.replace(' ', '_')}.c"
    path.write_text(source(body or BODIES[name]))
    subprocess.run(["cc", "-O1", "-w", "-shared", "-fPIC", path, "-o", path.with_suffix(".so")], check=True)
    return Artifact("cpu", path.with_suffix(".so"), LAUNCH)
