"""The published search spaces (benchmarks/published_spaces.json): our configs are those of independent engines."""

import hashlib
import json
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from kerntune.spaces import FeasibleSpace, Space

SPACES = {
    space["name"]: space
    for space in json.loads((Path(__file__).parents[2] / "benchmarks" / "published_spaces.json").read_text())
}
SMALL = [name for name, space in SPACES.items() if space["valid"] < 20_000]
HASHED = [name for name, space in SPACES.items() if space["valid_sha256"]]
FEW_POINTS = [name for name, s in SPACES.items() if np.prod([len(v) for v in s["params"].values()]) < 30_000]


@cache
def feasible(name: str) -> FeasibleSpace:
    """The published space as we read it."""
    return Space.from_text(name, SPACES[name]["params"], SPACES[name]["constraints"]).on()


def listed(name: str) -> list[tuple[int, ...]]:
    """Every config as its values, from the table of value indices."""
    columns = zip(SPACES[name]["params"].values(), feasible(name).matrix().T.tolist(), strict=True)
    return list(zip(*([values[index] for index in column] for values, column in columns), strict=True))


@pytest.mark.parametrize("name", SPACES)
def test_the_count_is_the_published_one(name):
    """Known without listing."""
    assert feasible(name).total == SPACES[name]["valid"]


@pytest.mark.parametrize("name", HASHED)
def test_the_listing_is_the_published_one_to_the_byte(name):
    """The same configs in the order of nested loops."""
    text = "".join(",".join(map(str, row)) + "\n" for row in listed(name))
    assert hashlib.sha256(text.encode()).hexdigest() == SPACES[name]["valid_sha256"]


@pytest.mark.parametrize("name", FEW_POINTS)
def test_the_listing_is_what_python_makes_of_the_text(name):
    """Every constraint evaluated by Python on the full product, whatever the file says."""
    names = list(SPACES[name]["params"])
    laws = [compile(text, name, "eval") for text in SPACES[name]["constraints"]]
    rows = product(*SPACES[name]["params"].values())
    assert listed(name) == [
        row
        for row in rows
        if all(eval(law, {}, dict(zip(names, row, strict=True))) for law in laws)  # noqa: S307 -- the oracle
    ]


@pytest.mark.parametrize("name", SPACES)
def test_item_is_the_row_of_the_listing_and_index_undoes_it(name):
    """At both ends and at random ranks."""
    rng = np.random.default_rng(11)
    table, values = feasible(name).matrix(), list(SPACES[name]["params"].values())
    for rank in (0, len(table) - 1, *rng.integers(len(table), size=8).tolist()):
        config = feasible(name)[rank]
        assert list(config.values()) == [of[index] for of, index in zip(values, table[rank], strict=True)]
        assert feasible(name).index(config) == rank


@pytest.mark.parametrize("name", SMALL)
def test_iteration_has_the_order_of_the_listing(name):
    """One order, however the configs are asked for."""
    assert [tuple(config.values()) for config in feasible(name)] == listed(name)
