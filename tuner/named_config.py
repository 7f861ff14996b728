"""Which config a caller means: by the JSON of its parameters, by a digest, or, unnamed, the best known one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..cache.records import RecordKey
from ..cache.store import Store
from ..cache.wire import config_from_json
from ..spaces.config import Config
from ..spaces.errors import SpaceError, UnknownName, UsageError
from ..spaces.feasible import FeasibleSpace
from ..templates.catalogue import digests
from ..templates.template import KernelTemplate
from .lanes import default_of
from .lookup import Query, rank
from .tuning import words_of

DIGEST = re.compile(r"[0-9a-fA-F]{6,32}")
SHOWN_DIGESTS = 5

Spaces = Mapping[KernelTemplate, FeasibleSpace]


@dataclass(frozen=True, slots=True)
class Choice:
    """A feasible config of a template, and how it was come by."""

    template: KernelTemplate
    feasible: FeasibleSpace
    config: Config
    why: str


def config_named(text: str | None, key: RecordKey, spaces: Spaces, store: Store) -> Choice:
    """The config that `text` names for the problem of `key`, checked to be feasible there.

    A digest, or its first characters, is looked for among what is known of this key, then among all records of the op.
    Raises: UsageError; UnknownName for a digest nobody knows; SpaceError, with the reason, for what is not feasible.
    """
    if text is None:
        return _best_known(key, spaces, store)
    if DIGEST.fullmatch(text):
        return _by_digest(text.lower(), key, spaces, store)
    return _by_values(_values(text, spaces, key), key, spaces)


def default_config(template: KernelTemplate, feasible: FeasibleSpace, key: RecordKey) -> Config:
    """What the template would run without tuning."""
    return default_of(feasible, template.seed_configs(feasible, key.problem, key.target))


def _best_known(key: RecordKey, spaces: Spaces, store: Store) -> Choice:
    """The best known config, exact or stale, else the default of the first template."""
    places = {template.name: (template, feasible) for template, feasible in spaces.items()}
    records = store.candidates(key.problem.op, key.problem.digest)
    usable = [r for r in records if r.template in places and r.config in places[r.template][1]]
    answer = rank(Query(key.problem, key.policy, key.target), usable, "stale", digests(key.problem.op))
    if answer is not None:
        return Choice(*places[answer.template], answer.config, f"the best known ({answer.match})")
    template, feasible = next(iter(spaces.items()))
    return Choice(template, feasible, default_config(template, feasible, key), "the default: nothing is known")


def _by_digest(prefix: str, key: RecordKey, spaces: Spaces, store: Store) -> Choice:
    for known in (_known_here(key, spaces, store), _known_elsewhere(key, store)):
        found = {(name, c.digest): c for name, c in known if c.digest.startswith(prefix)}
        if not found:
            continue
        by_digest = {config.digest: config for config in found.values()}
        if len(by_digest) > 1:
            raise UsageError(f'"{prefix}" begins {len(by_digest)} digests: {", ".join(sorted(by_digest))} (--config).')
        (config,) = by_digest.values()
        named = {template: space for template, space in spaces.items() if (template.name, config.digest) in found}
        return _by_values(config, key, named or spaces)
    ran = sorted((r.measurement.median_us, r.config.digest) for r in store.records(key) if r.measurement)
    defaults = [default_config(template, feasible, key).digest for template, feasible in spaces.items()]
    shown = {digest[:12] for digest in [*defaults, *list(dict.fromkeys(d for _, d in ran))[:SHOWN_DIGESTS]]}
    what = f"the digest of a config known of {key.problem.op}"
    raise UnknownName(prefix, what, shown, f"the defaults and the fastest of {words_of(key.problem)}; --config")


def _known_here(key: RecordKey, spaces: Spaces, store: Store) -> Iterator[tuple[str, Config]]:
    """Template name and config: each template's default, and every record of the key."""
    for template, feasible in spaces.items():
        yield template.name, default_config(template, feasible, key)
    for record in store.records(key):
        yield record.template, record.config


def _known_elsewhere(key: RecordKey, store: Store) -> Iterator[tuple[str, Config]]:
    """Template name and config of every record of the op, whatever its problem and target."""
    for other in {record.key.digest: record.key for record in store.candidates(key.problem.op)}.values():
        for record in store.records(other):
            yield record.template, record.config


def _by_values(values: Mapping[str, Any], key: RecordKey, spaces: Spaces) -> Choice:
    """The one template these values are a feasible config of."""
    fits = [(template, feasible) for template, feasible in spaces.items() if values in feasible]
    if len(fits) > 1:
        names = ", ".join(template.name for template, _ in fits)
        raise UsageError(f"the config fits several templates ({names}): name one by --template.")
    for template, feasible in fits:
        as_declared: Config = feasible[feasible.index(values)]  # in the space's order and types: 8.0 is 8
        return Choice(template, feasible, as_declared, "named")
    known = {template: {parameter.name for parameter in space.parameters} for template, space in spaces.items()}
    meant = [template for template in spaces if values.keys() <= known[template]] or list(spaces)
    reasons = "; ".join(f"{template.name}: {spaces[template].explain(values)}" for template in meant)
    raise SpaceError(
        f"{json.dumps(dict(values))} is not feasible for {key.problem.op} {words_of(key.problem)} "
        f"on {key.target.name}. {reasons}."
    )


def _values(text: str, spaces: Spaces, key: RecordKey) -> Config:
    """The JSON object of a config. Raises: UsageError, with an example."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        data, wrong = None, f"it is no JSON ({error})"
    else:
        wrong = "it is no JSON object"
    if isinstance(data, dict):
        return config_from_json(data)
    template, feasible = next(iter(spaces.items()))
    example = json.dumps(dict(default_config(template, feasible, key)))
    shown = text if len(text) <= 80 else f"{text[:80]}…"
    raise UsageError(
        f"--config {shown}: {wrong}, and no digest of 6 to 32 hexadecimal characters. Example: --config '{example}'"
    )
