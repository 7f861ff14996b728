"""Tiers: a question goes to this process's memory, then to the local database, then to a server, and no further
than it has to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from ..cache import checked
from ..cache.records import Answer, Match
from ..cache.store import Store
from ..spaces.errors import KerntuneError, NetworkError
from ..spaces.targets import Target
from ..templates.op import Op
from . import answering, asking, settings, wiring
from .fragile import Fragile
from .pinned import Pins
from .remembered import Remembered
from .settings import Settings

TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Question:
    """The words of a look-up, as they were given."""

    op: str
    device: str
    policy: str
    min_match: str
    db: str | None
    server: str | None
    timeout_s: float
    fields: tuple[tuple[str, Any], ...]
    generation: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What the tiers say."""

    answer: Answer | None
    misses: tuple[str, ...] = ()  # what the nearest local record differs in, where nothing was found


class _Nothing(KerntuneError):
    """What is never raised: no error of a pinned lookup is forgiven."""


class Tiers:
    """What one process asks with: open databases, servers and what they are like, answers that hold."""

    def __init__(self) -> None:
        self.remembered = Remembered()
        self._stores: dict[str, tuple[Store, Callable[[], str | None]]] = {}
        self._pins: dict[str, Pins] = {}
        self._targets: dict[tuple[str, int | None, str | None], Target] = {}
        self._servers: dict[str, Fragile] = {}

    def ask(self, question: Question, op: Op) -> Found:
        """The best answer: an exact one of the local database, else the better of its and the server's.

        A server is asked where one is named, or the settings name one and no database is. One that fails is a warning,
        and the local answer. A pinned question is answered by one of them alone (`_pinned`).
        Raises: UsageError, DeviceError, StoreError, UnknownGeneration.
        """
        config = settings.read()
        url = asking.server_for(config, question.server, question.db)
        generation = config.generation if question.generation is None else question.generation
        if generation is not None or (url is None and wiring.is_pinned(config, question.db)):
            number = None if generation is None else checked.whole(generation, "generation", 1)
            return self._pinned(question, op, config, url, number)
        local, holds = self._local(question, op, config) if question.server is None else (Found(None), _always)
        by_server = url is not None and (local.answer is None or local.answer.match != "exact")
        if not by_server:
            self.remembered.put(question, local.answer, holds)
            return local
        remote, heard = self._remote(str(url), question, op)
        if not heard:  # what it said before is better than nothing
            held = self.remembered.last(question)
            return Found(_better(held.answer if held else None, local.answer), local.misses)
        answer = _better(remote, local.answer)
        self.remembered.put(question, answer, holds, by_server)
        return Found(answer, local.misses)

    def close(self) -> None:
        """Let go of everything: answers, databases, what this machine and servers were like."""
        self.remembered.forget()
        self._servers.clear()
        self._targets.clear()
        while self._stores:
            self._stores.popitem()[1][0].close()
        while self._pins:
            self._pins.popitem()[1].close()

    def _pinned(self, question: Question, op: Op, config: Settings, url: str | None, generation: int | None) -> Found:
        """What a generation says: the server's where one is asked, else the database's or the file's. For ever.

        The number is of one place: where that cannot be asked, it is an error, never the answer of another place.
        """
        if url is not None:
            fragile = Fragile(question.timeout_s)  # of its own: it is asked, however it did before
            answer, _ = fragile.call(lambda: _of_server(question, op, url, generation), None, _Nothing)
            found = Found(answer)
        else:
            at = question.db or config.db_url
            if at not in self._pins:
                self._pins[at] = wiring.open_pins(config, at)
            accepted = asking.match_named(question.min_match)
            query = asking.query_of(op, dict(question.fields), self._target(question.device, config), question.policy)
            answer, misses = asking.ask_pins(self._pins[at], generation, query, accepted)
            found = Found(answer, tuple(misses))
        self.remembered.put(question, found.answer, _always)
        return found

    def _local(self, question: Question, op: Op, config: Settings) -> tuple[Found, Callable[[], bool]]:
        """What the database says, and whether it would say so still."""
        store, read_state = self._store(config, question.db or config.db_url)
        state = read_state()  # before the database is asked
        accepted = asking.match_named(question.min_match)
        target = self._target(question.device, config)
        query = asking.query_of(op, dict(question.fields), target, question.policy)
        answer = answering.answer(store, query, accepted)
        found = Found(answer, () if answer else tuple(answering.explain_miss(store, query)))
        return found, lambda: state is not None and read_state() == state

    def _remote(self, url: str, question: Question, op: Op) -> tuple[Answer | None, bool]:
        fragile = self._servers.setdefault(url, Fragile(question.timeout_s))
        # The words were found good here, unless a server alone is asked: then what it refuses is the caller's mistake.
        forgives = NetworkError if question.server else KerntuneError
        return fragile.call(lambda: _of_server(question, op, url), None, forgives)

    def _store(self, config: Settings, url: str) -> tuple[Store, Callable[[], str | None]]:
        """The database, opened once."""
        if url not in self._stores:
            self._stores[url] = wiring.open_watched_store(config, url)
        return self._stores[url]

    def _target(self, device: str, config: Settings) -> Target:
        """What this machine's device is: looked at once."""
        words = device, config.threads, config.compiler
        if words not in self._targets:
            self._targets[words] = wiring.open_host(device, config).target
        return self._targets[words]


def _of_server(question: Question, op: Op, url: str, generation: int | None = None) -> Answer | None:
    return asking.ask_server(
        url,
        op,
        dict(question.fields),
        device=question.device,
        policy=question.policy,
        min_match=question.min_match,
        generation=generation,
    )


def _better(remote: Answer | None, local: Answer | None) -> Answer | None:
    """The nearer one; of equals the server's, which all ask."""
    if remote is None or local is None:
        return remote or local
    order = get_args(Match)
    return local if order.index(local.match) < order.index(remote.match) else remote


def _always() -> bool:
    return True
