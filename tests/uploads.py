"""Records as workers upload them, of ops and templates that there are; and the same, spoilt."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

from asking import a_gemm_record
from builders import a_target
from hypothesis import strategies as st
from kerntune.cache.records import Baseline, Failure, Measurement, Policy, RecordKey, Verdict
from kerntune.cache.wire_records import record_to_json
from kerntune.templates.catalogue import op_named, templates_named

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def a_full_record(**problem):
    """A playoff's winner of triton_tiled, with everything a record may say."""
    (template,) = templates_named("gemm", ["triton_tiled"])
    asked = op_named("gemm").problem("gpu", **({"m": 4096, "n": 4096, "k": 4096} | problem))
    (config, *_) = template.seed_configs(template.feasible(asked, a_target()), asked, a_target())
    return replace(
        a_gemm_record(),
        key=RecordKey(asked, a_target(), Policy()),
        template=template.name,
        template_digest=template.digest,
        space_digest=template.space.digest,
        config=config,
        phase="playoff",
        outcome=Measurement((171.5, 1 / 3), True, False, {"sm_clock_mhz": [1980, None]}, {"registers": 168}),
        baseline=Baseline("cublas", (180.0,), 1.05, (1.04, 1.06), None, (Baseline("cublaslt", (181.0,)),)),
        verdict=Verdict(171.5, 0.95, 8, ("c" * 32,)),
    )


def a_failed_record():
    """One that did not compile, of a template that is not ours."""
    return replace(a_gemm_record("cpu"), outcome=Failure("compile", "no such instruction\n\tat line 3"))


VALID = [record_to_json(a_full_record()), record_to_json(a_failed_record()), record_to_json(a_gemm_record())]

NASTY_TEXT = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud800",
    "x\udfff",
    "\x1b[2J",
    "\u202e",
    "é" * 300,
    "x" * 70_000,
    "NaN",
    "__class__",
]
NASTY_NUMBERS = [0, -1, 1, True, False, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 0.0, -0.0, 5e-324, 1e308, 64.0]
NASTY_NUMBERS += [float("nan"), float("inf"), float("-inf"), 1e-7, 1e13]
NASTY_STAMPS = ["2026-11-22", "2026-11-22T12:00:00", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+14:00"]
NASTY_STAMPS += ["2026-11-22T12:00:00+23:59", "2026-W48-1T00:00:00Z", "20261122T120000Z", "2026-11-22T12:00:00,5+00:00"]


def nested(depth, kind=list):
    """A list in a list, or an object in an object, so deep."""
    value: object = 1
    for _ in range(depth):
        value = [value] if kind is list else {"x": value}
    return value


SCALARS = st.one_of(
    st.none(),
    st.sampled_from(NASTY_TEXT + NASTY_STAMPS),
    st.sampled_from(NASTY_NUMBERS),
    st.text(max_size=20),
    st.integers(),
    st.floats(),
)
NAMES = st.one_of(st.sampled_from(["op", "problem", "others", "samples_us", *NASTY_TEXT]), st.text(max_size=10))
ANYTHING = st.one_of(
    SCALARS,
    st.recursive(
        SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4))
    ),
    st.builds(nested, st.sampled_from([7, 8, 9, 50, 200, 400]), st.sampled_from([list, dict])),
    st.just([1.0] * 10_001),
    st.just({f"x{number}": number for number in range(1001)}),
)


def paths(value, so_far=()):
    """Every place in a JSON value."""
    yield so_far
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, entry in inner:
        yield from paths(entry, (*so_far, name))


@st.composite
def spoilt(draw, valid=VALID):
    """A valid one with something else in one place or two, or something more, or something missing."""
    data = copy.deepcopy(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 2))):
        *outer, last = draw(st.sampled_from([path for path in islice(paths(data), 300) if path]))
        holder = data
        for name in outer:
            holder = holder[name]
        what = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if what == "replace":
            holder[last] = copy.deepcopy(draw(ANYTHING))
        elif what == "remove":
            del holder[last]
        elif isinstance(holder, dict):
            holder[draw(NAMES)] = copy.deepcopy(draw(ANYTHING))
        else:
            holder.append(copy.deepcopy(draw(ANYTHING)))
    return data


def sent(value):
    """As bytes of JSON, or of what Python takes for it: NaN, lone surrogates."""
    return json.dumps(value).encode()
