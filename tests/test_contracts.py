"""The import contracts hold, and each fails when it is breached."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BREACHES = [
    ("spaces/problems.py", "from ..cache import records", "Imports run downward only"),
    ("server/app.py", "from ..spaces import errors", None),
    ("tuner/api.py", "from ..server import app", "Imports run downward only"),
    ("new_room/__init__.py", "", "Imports run downward only"),
    ("templates/op.py", "from ..cache import records", "templates and cache are strangers"),
    ("cache/wire.py", "from ..templates import op", "templates and cache are strangers"),
    ("tuner/study.py", "import sqlalchemy", "touch no"),
    ("templates/render.py", "import torch", "touch no"),
    ("tuner/api.py", "from ..cache import sql", "Only wiring.py names"),
    ("server/routes/health.py", "from ...cache import sql", "Only wiring.py names"),
    ("tuner/ops/calls.py", "import torch", "Of the ops only"),
    ("tuner/budget.py", "from . import study", "No circles"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The rooms as a package of their own, to breach."""
    folder = tmp_path_factory.mktemp("contracts")
    package = folder / "kerntune"
    for room in ("spaces", "templates", "cache", "tuner", "server"):
        shutil.copytree(ROOT / room, package / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "__init__.py", package)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path) -> tuple[int, str]:
    """Exit code and words of lint-imports over the copy."""
    run = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
        "--no-cache",
    ]
    env = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "300"}
    done = subprocess.run(run, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_the_contracts_hold(copy):
    """The law is run, not only written."""
    code, words = lint(copy)
    assert code == 0, words


@pytest.mark.parametrize(("file", "line", "contract"), BREACHES)
def test_a_breach_is_caught(copy, file, line, contract):
    """Each contract fails for an import it forbids; one it allows passes."""
    path = copy / "kerntune" / file
    before = path.read_text() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{before or ''}\n{line}\n")
    try:
        code, words = lint(copy)
    finally:
        if before is None:
            shutil.rmtree(path.parent)
        else:
            path.write_text(before)
    broken = [said for said in words.splitlines() if said.endswith("BROKEN")]
    if contract is None:
        assert code == 0, words
    else:
        assert code == 1
        assert any(contract in said for said in broken), words
