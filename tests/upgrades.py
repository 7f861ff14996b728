"""A compiler that says it is another one, and makes other code: an upgrade, for tests and benchmarks."""

from __future__ import annotations

import shlex
from pathlib import Path


def upgraded(folder: Path, version: str, *flags: str, compiler: str = "cc") -> str:
    """A value of CC: the compiler with these flags after its own, under another version."""
    script = folder / version.replace(" ", "-")
    script.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = --version ]; then echo {shlex.quote(version)}; exit 0; fi\n'
        f'exec {compiler} "$@" {shlex.join(flags)}\n'
    )
    script.chmod(0o755)
    return str(script)
