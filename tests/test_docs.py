"""What the documents show is so."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from kerntune.tuner.cli.main import make_app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SPACES = (ROOT / "docs" / "spaces.md").read_text()


@pytest.mark.parametrize("line", re.findall(r"^\$? ?(?:pip install \S+ && )?(tune .*)$", README + SPACES, re.MULTILINE))
def test_every_command_of_the_readme_exists(line):
    """Command, sub-command and each flag."""
    command = typer.main.get_command(make_app())
    words = line.replace("&", "").split()[1:]
    while words and not words[0].startswith("-") and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_readme_has_no_blank_left_to_fill():
    """Real output stands where output is shown."""
    assert "@@" not in README


def test_the_python_of_the_space_language_runs():
    """Every block of docs/spaces.md, in order, as one program whose assertions hold; as many lines down as there."""
    blocks = list(re.finditer(r"^```python\n(.*?)^```", SPACES, re.MULTILINE | re.DOTALL))
    assert len(blocks) >= 8
    names: dict[str, object] = {}
    for block in blocks:
        above = "\n" * SPACES.count("\n", 0, block.start(1))
        exec(compile(above + block[1], "docs/spaces.md", "exec"), names)


def test_every_environment_variable_is_documented():
    """settings.py reads it, the README says it."""
    read = set(re.findall(r'"((?:KERNTUNE|OMP)_\w+|CC)"', (ROOT / "tuner" / "settings.py").read_text()))
    assert len(read) >= 6
    assert [name for name in read if f"`{name}`" not in README] == []


@pytest.mark.parametrize(
    "example",
    ["own_space.py", *(pytest.param(f"{n}.py", marks=pytest.mark.compiler) for n in ("ops_gemm", "tune_gemm"))],
)
def test_the_examples_run(example, tmp_path):
    """As a reader runs them."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / example, *["64", "48", "32"]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
