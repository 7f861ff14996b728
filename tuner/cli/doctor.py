"""`tune doctor`: compilers, devices, database, versions; what is missing and how to get it."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

CORE = ("numpy", "optuna", "xgboost", "sqlalchemy", "fastapi", "uvicorn")
EXTRAS = {
    "gpu": ("triton", "cupy-cuda13x", "nvidia-ml-py", "cuda-bindings", "nvidia-cuda-nvrtc"),
    "server": ("uvloop", "httptools", "orjson", "prometheus-client", "plotly"),
    "postgres": ("psycopg",),
    "replay": ("pyarrow",),
    "report": ("plotly",),
    "ray": ("ray",),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    name: str
    ok: bool
    says: str  # what it is, or what is missing and how to get it
    needed: bool = True  # the main job does not work without it


def doctor(json_: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False) -> int:
    """Look at this machine: what kerntune can do here, what is missing, and how to get it."""
    findings = [_python(), _processor(), _compiler(), _gpu(), _database(), _cache_dir(), *_packages()]
    if json_:
        print(json.dumps({finding.name: asdict(finding) for finding in findings}))  # noqa: T201 -- the command's answer
    else:
        from rich.console import Console
        from rich.markup import escape

        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            mark = "[green]ok[/]     " if finding.ok else "[red]missing[/]" if finding.needed else "[yellow]absent[/] "
            console.print(f"{mark} {escape(finding.name.ljust(10))} {escape(finding.says)}")
    return 5 if any(finding.needed and not finding.ok for finding in findings) else 0


def _look(name: str, look: Callable[[], str], needed: bool = True) -> Finding:
    from ...spaces.errors import KerntuneError

    try:
        return Finding(name, True, look(), needed)
    except KerntuneError as error:
        return Finding(name, False, str(error), needed)


def _python() -> Finding:
    return Finding("python", True, f"{platform.python_version()}, kerntune {_version('kerntune') or 'not installed'}")


def _processor() -> Finding:
    def look() -> str:
        from .. import settings
        from ..backends.cpu_target import this_cpu

        cpu = this_cpu(settings.read().threads)
        return f"{cpu.model}, {cpu.cores} usable cores, {cpu.threads} threads, {cpu.vector_bytes * 8}-bit vectors"

    return _look("processor", look)


def _compiler() -> Finding:
    def look() -> str:
        from .. import settings
        from ..backends.compilers import find_compiler

        compiler = find_compiler(settings.read().compiler)
        openmp = (
            "OpenMP" if compiler.openmp else "no OpenMP: kernels run on one thread (Debian: apt-get install libomp-dev)"
        )
        return f"{compiler.version} ({' '.join(compiler.command)}), {openmp}"

    return _look("compiler", look)


def _gpu() -> Finding:
    def look() -> str:
        from ...spaces.errors import DeviceError
        from ..backends.gpu_target import gpu_count, gpu_target

        count = gpu_count()
        if count == 0:
            raise DeviceError("no NVIDIA GPU, or its driver is not installed; templates in C run on the processor")
        device, toolchain = gpu_target(0).device, gpu_target(0).toolchain
        return f"{count} × {device.name}, driver {toolchain.driver}, CUDA {toolchain.cuda}, Triton {toolchain.triton}"

    return _look("gpu", look, needed=False)


def _database() -> Finding:
    def look() -> str:
        from .. import settings, wiring

        config = settings.read()
        open_it = wiring.open_pins if wiring.is_generation_file(config.db_url) else wiring.open_store
        open_it(config).close()
        return wiring.shown_url(config.db_url)

    return _look("database", look)


def _cache_dir() -> Finding:
    from .. import settings, wiring

    folder = settings.read().cache_dir
    binaries = wiring.binary_cache(settings.read())
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return Finding("cache", False, f"{folder}: {error.strerror}. Name a writable folder in KERNTUNE_CACHE_DIR.")
    if refusal := binaries.refusal():
        return Finding("cache", False, refusal, needed=False)
    usage = binaries.usage()
    return Finding("cache", True, f"{folder}, {usage.entries:,} binaries kept, {usage.size_bytes / 1e6:,.1f} MB")


def _packages() -> list[Finding]:
    found = [Finding("core", True, ", ".join(f"{name} {_version(name)}" for name in CORE))]
    for extra, names in EXTRAS.items():
        absent = [name for name in names if _version(name) is None]
        present = ", ".join(f"{name} {_version(name)}" for name in names if name not in absent)
        says = present if not absent else f"{', '.join(absent)} not installed: pip install 'kerntune[{extra}]'"
        found.append(Finding(f"[{extra}]", not absent, says, needed=False))
    return found


def _version(name: str) -> str | None:
    for distribution in (name, f"{name}-cpu"):  # xgboost-cpu is xgboost without NCCL
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None
