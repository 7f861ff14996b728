"""Asking what is known: this machine's store, or a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, cast, get_args

from ..cache.records import Answer, Match, Policy
from ..cache.refusals import UnknownTarget
from ..spaces.errors import DeviceError, UnknownName
from ..spaces.targets import Target
from ..templates.op import Op
from . import answering, lookup, settings, wiring
from .lookup import Query
from .pinned import Pins
from .settings import Settings

LOCAL_DEVICES = ("auto", "cpu", "cuda", "gpu")


def server_for(config: Settings, server: str | None, db_url: str | None) -> str | None:
    """The server that a lookup asks: the one it names; else the settings', unless a database is named.

    Where the settings' database is an exported generation, that is all there is to ask.
    """
    return server or (None if db_url or wiring.is_generation_file(config.db_url) else config.server_url)


def ask_store(
    op: Op,
    fields: Mapping[str, Any],
    *,
    device: str,
    policy: str,
    min_match: str,
    db_url: str | None,
    generation: int | None = None,
) -> tuple[Answer | None, list[str]]:
    """The answer for this machine's device, or None and what the nearest record differs in.

    Raises: UsageError, DeviceError, StoreError, UnknownGeneration.
    """
    config = settings.read()
    accepted = match_named(min_match)
    host = wiring.open_host(device, config)
    query = query_of(op, fields, host.target, policy)
    if wiring.is_pinned(config, db_url, generation):
        with closing(wiring.open_pins(config, db_url)) as pins:
            return ask_pins(pins, generation, query, accepted)
    store = wiring.open_store(config, db_url)
    try:
        answer = answering.answer(store, query, accepted)
        return answer, [] if answer else answering.explain_miss(store, query)
    finally:
        store.close()


def ask_pins(pins: Pins, generation: int | None, query: Query, min_match: Match) -> tuple[Answer | None, list[str]]:
    """The answer of a generation (None: of the one that is meant there), or None and what the nearest one differs in.

    Raises: StoreError, UnknownGeneration.
    """
    pinned = pins.pinned(generation)
    assert pinned is not None  # somebody pinned it, or nobody would ask here
    found = pinned.answer(query, min_match)
    return (None, pinned.explain_miss(query)) if found is None else (found.answer, [])


def ask_server(
    url: str,
    op: Op,
    fields: Mapping[str, Any],
    *,
    device: str,
    policy: str,
    min_match: str,
    generation: int | None = None,
) -> Answer | None:
    """The server's answer for this machine's device, or for a device named as the server has it.

    This machine's target is asked about by digest first, so that every field counts; a server that never saw it is
    asked again by device name and toolchain. Raises: UsageError, NetworkError, UnknownGeneration.
    """
    config = settings.read()
    remote = wiring.open_remote(config, url)
    shape = "x".join(str(fields[letter]) for letter in op.letters)
    given = {name: str(value) for name, value in fields.items() if name not in op.letters and value is not None}
    query: dict[str, str] = {"shape": shape, **given, "policy": policy, "min_match": match_named(min_match)}
    if generation is not None:
        query["generation"] = str(generation)
    try:
        local = device.split(":")[0] in LOCAL_DEVICES
        target = wiring.open_host(device, config).target if local else None
    except DeviceError:  # asking about a device of another machine is what a server is for
        target = None
    if target is None:
        return remote.lookup(op.name, query if device == "auto" else {**query, "device": device})
    try:
        return remote.lookup(op.name, {**query, "target": target.digest})
    except UnknownTarget:
        stated = {name: str(value) for name, value in target.as_dict()["toolchain"].items() if value is not None}
        answer = remote.lookup(op.name, {**query, "device": target.name, **stated})
        return answer and lookup.seen_from(target, answer, match_named(min_match))


def query_of(op: Op, fields: Mapping[str, Any], target: Target, policy: str) -> Query:
    """The question for a target. Raises: UsageError."""
    return Query(op.problem(target.kind, **fields), Policy.named(target.kind, policy), target)


def explained(op: str, fields: Mapping[str, Any], answer: Answer | None, misses: Sequence[str]) -> str:
    """What KERNTUNE_EXPLAIN says of a lookup: a line, none for an exact answer."""
    if answer is not None and answer.match == "exact":
        return ""
    asked = " ".join(f"{name}={value}" for name, value in fields.items())
    found = "nothing" if answer is None else f"{answer.match}, {answer.template} {answer.config!r}"
    differing = "; ".join(misses if answer is None else answer.differences) or "no record of the op is known"
    return f"kerntune: {op} {asked}: {found} ({differing})\n"


def match_named(name: str) -> Match:
    """A kind of match by name. Raises: UnknownName."""
    if name not in get_args(Match):
        raise UnknownName(name, "a kind of match", get_args(Match), "--min-match")
    return cast("Match", name)
