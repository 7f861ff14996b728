"""Wiring: the only file that names concrete stores, backends and engines. Samplers have their own registry."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..cache.records import Policy
from ..spaces.errors import DeviceError, NoCompiler, UnknownName
from ..spaces.problems import Problem
from ..spaces.targets import Target
from . import settings
from .hosts import Host
from .settings import Settings

if TYPE_CHECKING:
    from ..cache.counts import Counting
    from ..cache.database import Database
    from ..cache.evidence import Evidence
    from ..cache.keys import Keys
    from ..cache.remote import RemoteAnswers
    from ..cache.remote_jobs import RemoteJobs
    from ..cache.retention import Retention
    from ..cache.store import Store
    from ..cache.studies import Studies
    from .backends.artifact import Backend, ChildSpec
    from .backends.binary_cache import BinaryCache
    from .engine.engine import Engine
    from .pinned import Pins
    from .serving import Served
    from .sessions.session import Session

FILE_SCHEME = "generation:"
"""How the URL of an exported generation begins (cache/generation_file.py, which takes longer to import)."""


def open_store(config: Settings, url: str | None = None) -> Store:
    """The database of this URL, or of the settings; made if it is not there. Raises: StoreError."""
    from ..cache.sql import SqlStore

    _refuse_file(url or config.db_url)
    return SqlStore.open(url or config.db_url)


def open_store_and_studies(config: Settings, url: str | None = None) -> tuple[Store, Studies]:
    """The records of this database and what searches cost, over one connection: closing the store closes both.

    Raises: StoreError.
    """
    from ..cache.database import Database
    from ..cache.sql import SqlStore
    from ..cache.sql_studies import SqlStudies

    _refuse_file(url or config.db_url)
    database = Database.open(url or config.db_url)
    return SqlStore(database), SqlStudies(database)


def open_evidence(config: Settings, url: str | None = None) -> tuple[Evidence, Store, Studies]:
    """What is known in this database, by digest: closing the store closes all. Raises: StoreError."""
    from ..cache.database import Database
    from ..cache.sql import SqlStore
    from ..cache.sql_evidence import SqlEvidence
    from ..cache.sql_studies import SqlStudies

    _refuse_file(url or config.db_url)
    database = Database.open(url or config.db_url)
    return SqlEvidence(database), SqlStore(database), SqlStudies(database)


def open_backend(name: str, target: Target, config: Settings) -> Backend:
    """What compiles templates of this backend for a target, with the tools of this machine; no device is touched.

    Raises: NoCompiler, DeviceError where they are not here.
    """
    if name == "cpu":
        from .backends.compilers import find_compiler
        from .backends.cpu import CpuBackend

        return CpuBackend(find_compiler(config.compiler))
    from .backends.gpu_target import nvrtc_version

    missing = importlib.util.find_spec("triton") is None if name == "triton" else nvrtc_version() is None
    if missing:
        package = "Triton" if name == "triton" else "NVRTC with cuda-bindings"
        raise DeviceError(f"kernels of {name} need {package}, which is not here: pip install 'kerntune[gpu]'.")
    from .backends.cuda import CudaBackend
    from .backends.triton import TritonBackend

    return TritonBackend(target, 1) if name == "triton" else CudaBackend(target, 1)


def open_retention(config: Settings, url: str | None = None) -> Retention:
    """What forgets in this database. Raises: StoreError."""
    from ..cache.sql_retention import SqlRetention

    _refuse_file(url or config.db_url)
    return SqlRetention.open(url or config.db_url)


def is_pinned(config: Settings, url: str | None = None, generation: int | None = None) -> bool:
    """Whether lookups there are among the answers of one generation: it is named, or the settings or a file pin it."""
    return generation is not None or config.generation is not None or is_generation_file(url or config.db_url)


def is_generation_file(url: str) -> bool:
    """Whether a URL names a file that a generation was exported to, and no database."""
    return url.startswith(FILE_SCHEME)


def open_pins(config: Settings, url: str | None = None) -> Pins:
    """The generations of the database, or of the exported file, of this URL, or of the settings. Raises: StoreError."""
    at = url or config.db_url
    if is_generation_file(at):
        from ..cache.generation_file import FileGenerations, path_of
        from .pinned import Pins

        file = FileGenerations.load(path_of(at))
        return Pins(file, config.generation or file.number)
    from ..cache.database import Database

    return _pins_of(Database.open(at), config)


def _pins_of(database: Database, config: Settings) -> Pins:
    """The generations of a database, which closing them closes."""
    from ..cache.sql import SqlStore
    from ..cache.sql_generations import SqlGenerations
    from .pinned import Pins

    return Pins(SqlGenerations(database), config.generation, SqlStore(database).target)


def _refuse_file(url: str) -> None:
    """Raises: ReadOnly where an exported generation is no database."""
    if is_generation_file(url):
        from ..cache.generation_file import no_records
        from ..cache.refusals import ReadOnly

        raise ReadOnly(no_records(url))


def open_keys(config: Settings, url: str | None = None) -> Keys:
    """The keys in the database of this URL, or of the settings. Raises: StoreError, ReadOnly."""
    from ..cache.sql_keys import SqlKeys

    _refuse_file(url or config.db_url)
    return SqlKeys.open(url or config.db_url)


def server_keys(config: Settings) -> Keys:
    """The keys of a server: those of its database, or none where it serves a file. Raises: StoreError."""
    if is_generation_file(config.db_url):
        from ..cache.memory_keys import MemoryKeys

        return MemoryKeys()
    return open_keys(config)


def open_counting(config: Settings) -> Counting | None:
    """What the database of the settings holds, counted; an exported generation is none. Raises: StoreError."""
    if is_generation_file(config.db_url):
        return None
    from ..cache.sql_counts import SqlCounts

    return SqlCounts.open(config.db_url)


def shown_url(url: str) -> str:
    """A database URL as it may be shown: without its password."""
    from sqlalchemy.engine import make_url

    return url if is_generation_file(url) else make_url(url).render_as_string(hide_password=True)


def open_remote(config: Settings, url: str) -> RemoteAnswers:
    """Lookups of a server."""
    from ..cache.remote import RemoteAnswers

    return RemoteAnswers(url, config.api_key)


def open_remote_jobs(config: Settings, url: str) -> RemoteJobs:
    """The queue of a server, as its workers see it."""
    from ..cache.remote_jobs import RemoteJobs

    return RemoteJobs(url, config.api_key)


def open_remote_store(config: Settings, url: str) -> Store:
    """The records of a server."""
    from ..cache.remote_store import RemoteStore

    return RemoteStore(url, config.api_key)


def open_watched_store(config: Settings, url: str | None = None) -> tuple[Store, Callable[[], str | None]]:
    """The database of this URL, or of the settings, and its state, which changes with what anyone commits.

    SQLite says it in microseconds and is asked each time; PostgreSQL is asked beside, and None says that it is not
    known. Raises: StoreError.
    """
    from ..cache.database import Database
    from ..cache.sql import SqlStore

    _refuse_file(url or config.db_url)
    database = Database.open(url or config.db_url)
    return SqlStore(database), _state_of(database)


def _state_of(database: Database) -> Callable[[], str | None]:
    from .polled import Polled

    return database.state if database.dialect == "sqlite" else Polled(database.state)


def server_services() -> Served:
    """What the server of this process is handed: the database its settings name, or a file; all or what they pin.

    Raises: StoreError, UnknownGeneration.
    """
    from ..cache.database import Database
    from ..cache.sql import SqlStore
    from ..cache.sql_jobs import SqlJobs
    from .generation_services import GenerationServices
    from .job_services import QueuedJobs
    from .record_services import StoreRecordServices
    from .serving import PinnedServices, Served, StoreServices

    config = settings.read()
    if is_generation_file(config.db_url):
        pins = open_pins(config)
        return Served(PinnedServices(pins), GenerationServices(pins))
    database = Database.open(config.db_url)
    store, pins = SqlStore(database), _pins_of(database, config)
    lookups = PinnedServices(pins) if is_pinned(config) else StoreServices(store, _state_of(database), pins)
    records, jobs = StoreRecordServices(store), QueuedJobs(SqlJobs(database), store)
    return Served(lookups, GenerationServices(pins), records, jobs)


def binary_cache(config: Settings) -> BinaryCache:
    """The compiled kernels kept on this machine. Nothing is made before the first is put there."""
    from .backends.binary_cache import BinaryCache

    return BinaryCache(config.cache_dir / "binaries")


def open_host(name: str, config: Settings) -> Host:
    """The device of that name: auto, cpu, cuda, cuda:1. Raises: UnknownName, DeviceError."""
    if name == "cpu":
        return _cpu_host(config)
    if name == "auto":
        return _auto_host(config)
    if match := re.fullmatch(r"(?:cuda|gpu)(?::(\d{1,3}))?", name):
        return _gpu_host(config, int(match.group(1) or 0))
    raise UnknownName(name, "a device", ["auto", "cpu", "cuda", "cuda:1"], "--device")


def _auto_host(config: Settings) -> Host:
    """The GPU where there is one that can be used, else the processor; a GPU left unused is said."""
    from .backends.gpu_target import gpu_count, missing_gpu_packages

    if gpu_count() == 0:
        return _cpu_host(config)
    missing = missing_gpu_packages()
    if not missing:
        return _gpu_host(config, 0)
    hint = (
        f"a GPU is here, but {', '.join(missing)} is not installed: pip install 'kerntune[gpu]'. Using the processor."
    )
    host = _cpu_host(config)
    return replace(host, notes={**host.notes, "gpu": hint})


def _cpu_host(config: Settings) -> Host:
    from .backends.compilers import find_compiler
    from .backends.cpu import cpu_target

    try:
        compiler, missing = find_compiler(config.compiler), None
    except NoCompiler as error:
        compiler, missing = None, error
    target = cpu_target(compiler, config.threads)
    shared = ExitStack()

    @cache
    def backends() -> dict[str, Backend]:
        if compiler is None:
            raise missing or NoCompiler("no C compiler")
        from .backends.cpu import CpuBackend

        return _shared(shared, CpuBackend(compiler, binary_cache(config)))

    def engine(problem: Problem, policy: Policy) -> Engine:
        from .backends.cpu import child_spec
        from .engine.local import LocalEngine

        return LocalEngine(problem, policy, backends(), child_spec(target), config.cache_dir, _cores(target))

    notes = _notes(compiler=str(missing) if missing else None, binaries=binary_cache(config).refusal())
    return Host(target, frozenset({"cpu"}), engine, _free_memory, notes, shared.close)


def _gpu_host(config: Settings, index: int) -> Host:
    from .backends.gpu_target import NVRTC_HINT, gpu_target, gpu_uuid

    target = gpu_target(index)
    has_nvrtc = target.toolchain.nvrtc is not None
    workers = len(os.sched_getaffinity(0))
    shared = ExitStack()

    @cache
    def backends() -> dict[str, Backend]:
        from .backends.cuda import CudaBackend
        from .backends.triton import TritonBackend

        kept = binary_cache(config)
        made: list[Backend] = [TritonBackend(target, workers, kept)]
        return _shared(shared, *made, *([CudaBackend(target, workers, kept)] if has_nvrtc else []))

    @cache
    def measuring() -> tuple[ChildSpec, Session]:
        """One child for all studies: to open a GPU, and to load what the vendor library is reached through, takes s."""
        from .backends.triton import gpu_child_spec
        from .engine.local import session_of

        child = gpu_child_spec(index, gpu_uuid(index))
        session = session_of(child)
        shared.callback(session.close)
        return child, session

    def engine(problem: Problem, policy: Policy) -> Engine:
        from .engine.local import LocalEngine

        child, session = measuring()
        return LocalEngine(problem, policy, backends(), child, config.cache_dir, workers, session)

    memory = int(target.symbols()["memory_bytes"])
    names = frozenset({"triton", "cuda"} if has_nvrtc else {"triton"})
    notes = _notes(nvrtc=None if has_nvrtc else NVRTC_HINT, binaries=binary_cache(config).refusal())
    return Host(target, names, engine, partial(int, memory), notes, shared.close)


def _shared(stack: ExitStack, *backends: Backend) -> dict[str, Backend]:
    """Backends by name, closed with the stack."""
    for backend in backends:
        stack.callback(backend.close)
    return {backend.name: backend for backend in backends}


def _notes(**notes: str | None) -> dict[str, str]:
    """What there is to say."""
    return {name: note for name, note in notes.items() if note is not None}


def _cores(target: Target) -> int:
    return int(target.symbols()["cores"])


def _free_memory() -> int:
    """MemAvailable of /proc/meminfo, bytes."""
    text = Path("/proc/meminfo").read_text()
    match = re.search(r"MemAvailable:\s+(\d+) kB", text)
    return int(match.group(1)) * 1024 if match else 0
