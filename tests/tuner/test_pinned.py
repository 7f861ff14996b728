"""What a generation answers: the frozen bytes, or the same but for what another place changes."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import A_STAMP, a_key, a_problem, a_record, a_target
from contracts.generations_contract import freeze
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_generations import MemoryGenerations
from kerntune.cache.records import Policy
from kerntune.cache.refusals import UnknownGeneration
from kerntune.cache.wire import answer_to_json
from kerntune.spaces.canonical import canonical_json
from kerntune.spaces.errors import StoreError, UnknownName
from kerntune.spaces.targets import Toolchain
from kerntune.tuner import freezing, pinned
from kerntune.tuner.lookup import Query, Stated, rank
from kerntune.tuner.pinned import Pinned, Pins, rank_frozen


def a_query(where=None, problem=None, policy=None):
    return Query(problem or a_problem(), policy or Policy(), where or a_target())


def frozen_of(*records):
    """The frozen answers of a store with these records."""
    generations = MemoryGenerations(holding(*records))
    freeze(generations)
    return generations.frozen(1)


def holding(*records):
    store = MemoryStore()
    store.add_many(records)
    return store


def test_an_exact_answer_is_the_frozen_bytes():
    """Nothing is written anew."""
    (frozen,) = answers = frozen_of(a_record(us=(1 / 3, 2 / 3)))
    assert rank_frozen(a_query(), answers) is frozen


def test_an_answer_for_another_driver_is_stale_and_says_what_differs():
    """The rest is as it was frozen, what a later kerntune writes into it included."""
    (frozen,) = frozen_of(a_record())
    later = frozen.with_values({"tomorrow": 1})
    given = rank_frozen(a_query(a_target(driver="560.28")), [later])
    changed = {"match": "stale", "differences": ["driver: 560.28 here, 550.54 stored"], "expected_slowdown": None}
    assert given.data == {**later.data, **changed}
    assert given.text == canonical_json(given.data)


def test_only_what_was_asked_is_answered():
    """Another device, policy or problem is a miss."""
    answers = frozen_of(a_record())
    for query in (
        a_query(a_target(sm_count=100)),
        a_query(policy=Policy("warm", "graph")),
        a_query(problem=a_problem(m=512)),
        a_query(Stated("GPU Y")),
    ):
        assert rank_frozen(query, answers, "model") is None


def test_near_accepts_what_stale_does():
    """What is near is foretold by models that a later kerntune betters: no such answer could hold for ever."""
    answers = frozen_of(a_record())
    query = a_query(a_target(driver="560.28"))
    assert rank_frozen(query, answers, "exact") is None
    assert rank_frozen(query, answers, "near") == rank_frozen(query, answers, "model") == rank_frozen(query, answers)
    with pytest.raises(UnknownName):
        rank_frozen(query, answers, "close")


def test_of_a_key_that_only_an_edited_template_timed_the_answer_is_stale_for_ever(monkeypatch):
    """It was stale when it was frozen; what templates are like later is not asked."""
    monkeypatch.setattr(freezing, "_digests", lambda op: {"gemm_tiled": "c" * 32})
    (frozen,) = answers = frozen_of(a_record())
    assert (frozen.answer.match, frozen.answer.differences) == (
        "stale",
        ("template gemm_tiled: cccccccc here, aaaaaaaa stored",),
    )
    monkeypatch.undo()
    assert rank_frozen(a_query(), answers) is frozen
    elsewhere = rank_frozen(a_query(a_target(driver="560.28")), answers).answer
    assert elsewhere.differences == ("driver: 560.28 here, 550.54 stored", *frozen.answer.differences)


def test_an_answer_that_no_edit_touched_is_preferred(monkeypatch):
    """As a lookup prefers it, though the other was faster."""
    monkeypatch.setattr(freezing, "_digests", lambda op: {"gemm_tiled": "c" * 32})
    old, new = a_record(us=1.0), a_record(us=9.0, template_digest="c" * 32)
    (frozen,) = frozen_of(old, new)
    assert (frozen.answer.median_us, frozen.answer.match) == (9.0, "exact")


def test_a_pinned_lookup_answers_as_the_lookup_did_when_it_was_frozen():
    """By the same ranking: at 400 places, of whole targets and of names, with and without tools."""
    rng = random.Random(11)
    drivers, limits, tritons = ("550", "560", "570"), (600, 700), ("3.5", "3.6")

    def a_place():
        return a_target(driver=rng.choice(drivers), power_limit_w=rng.choice(limits), triton=rng.choice(tritons))

    for _ in range(40):
        keys = [replace(a_key(), target=a_place()) for _ in range(4)]
        records = [
            a_record(key, {"BLOCK_M": rng.choice((16, 32))}, rng.choice((5.0, 6.0)), minutes=rng.randrange(3))
            for key in keys
        ]
        answers = frozen_of(*records)
        live = holding(*records).candidates("gemm", a_problem().digest)
        for _ in range(10):
            tools = rng.choice([Toolchain(), Toolchain("560", "13.0", "3.6"), Toolchain(driver="570")])
            query = a_query(rng.choice([a_place(), Stated("GPU X", tools)]))
            found, expected = rank_frozen(query, answers), rank(query, live)
            assert found.text == canonical_json(answer_to_json(replace(expected, generation=1)))
            shuffled = rng.sample(answers, len(answers))
            assert rank_frozen(query, shuffled) == found


def test_a_pin_knows_its_targets_and_one_that_is_named():
    """A name means a device that has answers there; a digest may be of any place that is known."""
    generations = MemoryGenerations(holding(a_record(), a_record(a_key(kind="cpu"))))
    freeze(generations)
    newer = a_target(driver="560.28")
    pins = Pins(generations, target_named={newer.digest: newer}.get)
    at = pins.at(1)
    assert [target.name for target in at.targets] == ["GPU X", "Model T"]
    assert at.targets_with(newer.digest) == (*at.targets, newer)
    assert at.targets_with("0" * 32) == at.targets_with(None) == at.targets_with(a_target().digest) == at.targets


def test_a_pin_is_read_once_and_another_generation_is_another_pin(monkeypatch):
    """Few are held at once."""
    monkeypatch.setattr(pinned, "MOST_AT_HAND", 2)
    store = holding(a_record())
    generations = MemoryGenerations(store)
    for m in (16, 32, 48):
        store.add(a_record(a_key(a_problem(m=m))))
        freeze(generations)
    pins = Pins(generations, default=2)
    assert pins.pinned() is pins.pinned(2) is pins.at(2)
    assert [pins.at(number).generation.answers for number in (1, 2, 3)] == [2, 3, 4]
    assert pins.at(1).generation.number == 1
    assert Pins(generations).pinned() is None
    with pytest.raises(UnknownGeneration):
        pins.pinned(4)


def test_a_miss_names_the_nearest_frozen_answer():
    """Field by field; records that came later are not told of."""
    store = holding(a_record())
    generations = MemoryGenerations(store)
    freeze(generations)
    store.add(a_record(a_key(a_problem(m=512))))
    at = Pins(generations).at(1)
    assert at.explain_miss(a_query(problem=a_problem(m=512))) == ["m: 512 here, 256 stored"]
    assert at.explain_miss(a_query(a_target(sm_count=100))) == ["sm_count: 100 here, 132 stored"]
    assert at.explain_miss(a_query(problem=a_problem("conv"))) == []


def test_a_damaged_answer_is_said_with_its_number():
    """And never passed on."""
    generations = MemoryGenerations(holding(a_record()))
    freeze(generations)
    (frozen,) = generations.frozen(1)

    class Damaged(MemoryGenerations):
        def frozen(self, number, problem_digest=None):
            return [replace(frozen, text=frozen.text[:-20])]

    at = Pinned(Damaged(MemoryStore()), generations.generation(1), lambda digest: None)
    with pytest.raises(StoreError, match=r"generation 1 is damaged"):
        at.answer(a_query())


def test_a_difference_names_what_is_new_gone_changed_and_timed_anew():
    """What comes and goes first, then what changed most, faster or slower."""
    sizes = (16, 32, 48, 64, 80, 96)
    gone, faster, slower, same, timed, new = (a_key(a_problem(m=m)) for m in sizes)
    before = frozen_of(*(a_record(key, us=10.0) for key in (gone, faster, slower, same, timed)))
    after = frozen_of(
        a_record(same, us=10.0),
        a_record(new, us=3.0),
        a_record(faster, {"BLOCK_M": 16}, us=8.0),
        a_record(slower, {"BLOCK_M": 16}, us=20.0),
        replace(a_record(timed, us=9.0), recorded_at=A_STAMP + timedelta(days=1)),
    )
    found = freezing.changes(before, after)
    said = {(change.kind, change.answer.problem["m"], change.ratio) for change in found[:2]}
    assert said == {("gone", 16, None), ("new", 96, None)}
    rest = [(change.kind, change.answer.problem["m"], change.ratio) for change in found[2:]]
    assert rest == [("changed", 48, 2.0), ("changed", 32, 0.8), ("timed", 80, 0.9)]
    assert freezing.changes(before, before) == []


def test_an_op_that_is_not_known_here_is_frozen_too():
    """A decorated kernel's records are another program's."""
    key = a_key(a_problem("user/abc"))
    (frozen,) = frozen_of(a_record(key))
    assert (frozen.op, frozen.answer.match) == ("user/abc", "exact")
