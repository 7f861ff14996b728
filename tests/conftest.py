"""What every test has: importable builders, markers that skip or fail, and an environment of its own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest
from kerntune.tuner.backends.gpu_target import gpu_count, nvrtc_version

ROOT = Path(__file__).parents[1]

# Tests are no package: `from builders import a_record` and `from contracts.store_contract import StoreContract`.
sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("aftermath", "asking", "builders", "contracts", "processes", "writers")


def _on_path(*programs: str) -> bool:
    return any(shutil.which(program) for program in programs)


def _has_nvrtc() -> bool:
    return find_spec("cuda") is not None and nvrtc_version() is not None


def _has_initdb() -> bool:
    from cluster import programs

    return programs() is not None


NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "torch": (lambda: find_spec("torch") is not None, "torch is not installed"),
    "triton": (lambda: find_spec("triton") is not None, "triton is not installed"),
    "nvrtc": (_has_nvrtc, "NVRTC or cuda-bindings is not installed"),
    "replay": (lambda: find_spec("pyarrow") is not None, "pyarrow is not installed"),
    "ray": (lambda: find_spec("ray") is not None, "ray is not installed"),
    "gpu": (lambda: gpu_count() > 0, "no NVIDIA GPU"),
    "git": (lambda: (ROOT / ".git").exists() and _on_path("git"), "not a git checkout"),
    "postgres": (lambda: bool(os.environ.get("KERNTUNE_TEST_POSTGRES")), "KERNTUNE_TEST_POSTGRES names no server"),
    "initdb": (_has_initdb, "no PostgreSQL server is installed here (initdb)"),
    "browser": (lambda: _on_path("chromium", "chromium-browser"), "no chromium on PATH"),
    "compiler": (
        lambda: _on_path(*filter(None, [os.environ.get("CC"), "cc", "gcc", "clang"])),
        "no C compiler: cc, gcc or clang on PATH, or $CC",
    ),
}
"""Marker -> whether its need is there, and what to say if not."""

_met: dict[str, bool] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose need is absent; fail it where KERNTUNE_TEST_REQUIRE (names, by comma) insists on the need."""
    required = {name.strip() for name in os.environ.get("KERNTUNE_TEST_REQUIRE", "").split(",")}
    for name in {marker.name for marker in item.iter_markers()} & NEEDS.keys():
        probe, absence = NEEDS[name]
        if name not in _met:
            _met[name] = probe()
        if not _met[name] and name in required:
            pytest.fail(f"{absence}, and KERNTUNE_TEST_REQUIRE names {name}", pytrace=False)
        if not _met[name]:
            pytest.skip(absence)


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's data, or asks a server the user works with."""
    monkeypatch.setenv("KERNTUNE_DB", f"sqlite:///{tmp_path}/kerntune.db")
    monkeypatch.setenv("KERNTUNE_CACHE_DIR", str(tmp_path / "binaries"))
    for name in ("KERNTUNE_SERVER", "KERNTUNE_API_KEY", "KERNTUNE_GENERATION"):
        monkeypatch.delenv(name, raising=False)
    if api := sys.modules.get("kerntune.tuner.api"):
        api.forget()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """The SQLAlchemy URL of an empty database of its own, on the server KERNTUNE_TEST_POSTGRES names."""
    import psycopg

    server = os.environ["KERNTUNE_TEST_POSTGRES"]
    name = f"kerntune_test_{uuid4().hex[:12]}"
    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{server.rpartition('/')[0]}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
