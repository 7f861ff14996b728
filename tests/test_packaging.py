"""The package as it ships: what is listed, what is in the wheel, and that it works from there."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("spaces", "templates", "cache", "tuner", "server")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def packages_in_the_tree() -> set[str]:
    """Every folder of a room with Python in it, as a package."""
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    return {"kerntune"} | {"kerntune." + ".".join(folder.relative_to(ROOT).parts) for folder in folders}


def test_the_package_list_names_every_folder():
    """A sub-package that is missing from the list works editable and is silently absent from the wheel."""
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages_in_the_tree()


def test_every_room_is_a_package_and_nothing_else_is():
    """An __init__.py in tests/ would make it a package of its own; a *.py at the root would ship."""
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in folders)
    others = [p for d in ("tests", "docs", "benchmarks", "examples") for p in (ROOT / d).rglob("__init__.py")]
    assert others == []
    assert [path.name for path in ROOT.glob("*.py")] == ["__init__.py"]


def test_the_public_names_are_pinned():
    """Names that users hold on to change on purpose only."""
    import kerntune

    assert kerntune.__all__ == ["Answer", "KerntuneError", "__version__", "lookup", "ops", "tune", "tune_workload"]
    for name in kerntune.__all__:
        assert getattr(kerntune, name) is not None
    assert kerntune.__version__ == PROJECT["project"]["version"]


@pytest.mark.git
def test_no_absolute_path_and_no_large_file_is_committed():
    """What is committed runs on any machine: neither its user's home nor the checkout's own place is named."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    places = re.compile("|".join(["/(root|work)/", *map(re.escape, (f"{ROOT}/", f"{Path.home()}/"))]).encode())
    for name in listed.stdout.split():
        path = ROOT / name
        assert path.stat().st_size < 1_000_000, name
        assert not places.search(path.read_bytes()), name


@pytest.mark.slow
@pytest.mark.git
@pytest.mark.compiler
def test_a_wheel_built_from_git_archive_runs_the_main_job(tmp_path):
    """Built from what is committed, unpacked where nothing of the checkout is (.ci/run: in an empty environment)."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True)
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    subprocess.run(["tar", "x"], cwd=source, input=archive.stdout, check=True)
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, source]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        packed.extractall(site)
    assert not [name for name in names if name.startswith(("tests/", "kerntune/tests"))]
    assert "kerntune/py.typed" in names
    assert "kerntune/templates/gemm/c_tiled.c.jinja" in names
    # PYTHONPATH comes before an editable install, for the command and for its child alike.
    run = (
        f"import kerntune, sys; assert {str(site)!r} in kerntune.__file__; sys.argv[0] = 'tune';"
        "from kerntune.tuner.cli.main import main; main()"
    )
    env = {**os.environ, "PYTHONPATH": str(site)}
    job = ["gemm", "--shape", "64x64x64", "--device", "cpu", "--trials", "3", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", run, *job], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"]["measured"] == 3
