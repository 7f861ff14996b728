"""What every Store does. A test class of an implementation inherits StoreContract and gives the fixture `store`."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, timedelta, timezone

import pytest
from builders import A_STAMP, A_TEMPLATE, a_key, a_problem, a_record
from kerntune.cache.records import Baseline, Failure, Incident, Measurement, Policy, Record, RecordKey, Verdict
from kerntune.cache.rules import winner
from kerntune.cache.store import Store

SMALL, LARGE = {"BLOCK_M": 32}, {"BLOCK_M": 128}
OTHER_TEMPLATE = "c" * 32


class StoreContract:
    """The laws of the port. The subclass gives an empty `store` for each test."""

    def test_an_empty_store_has_no_best(self, store: Store) -> None:
        """Nothing is known, so nothing is said."""
        assert store.best(a_key()) is None
        assert store.records(a_key()) == []
        assert store.candidates("gemm") == []

    def test_a_measured_record_comes_back_as_it_was_added(self, store: Store) -> None:
        """Every field survives, to the last bit of every sample."""
        record = a_record(
            config={"Z": 1, "A": "tma", "F": True, "X": 0.5},
            us=(10.1, 1 / 3, 12.000000000000002),
            phase="playoff",
            baseline=Baseline("cublas 13.1", (9.87, 9.9)),
        )
        store.add(record)
        assert store.best(a_key()) == record
        assert store.records(a_key()) == store.candidates("gemm") == [record]

    def test_what_a_time_rests_on_comes_back_as_it_was_added(self, store: Store) -> None:
        """Readings, what the kernel uses, the verdict of a playoff, the speedup by paired rounds."""
        readings = {
            "device": "gpu",
            "before": {"sm_mhz": 1980, "throttled_by": ["power"], "power_w": None},
            "busy": 0.1,
        }
        record = replace(
            a_record(phase="playoff", baseline=Baseline("cublas", (9.87, 9.9), 1 / 3, (0.25, 0.5))),
            outcome=Measurement((10.0, 1 / 3), deterministic=True, readings=readings, uses={"registers": 168}),
            verdict=Verdict(ranked_us=0.3, confidence=1 - 2**-6, rounds=2, tied_with=("e" * 32,)),
        )
        raced_out = _raced_out(a_record(minutes=1, us=3.0))
        for added in (record, raced_out):
            store.add(added)
            store.add(added)
        assert store.records(a_key()) == [record, raced_out]

    def test_readings_are_cleaned_at_the_door(self, store: Store) -> None:
        """Words without control characters, no number that JSON cannot say."""
        foreign = Measurement((1.0,), readings={"na\x00me": ["\x1b[31mred", float("nan")], "plain": (1, 2.5, True)})
        store.add(replace(a_record(), outcome=foreign))
        (record,) = store.records(a_key())
        assert record.measurement is not None
        assert record.measurement.readings == {"name": ["red", None], "plain": [1, 2.5, True]}

    def test_a_config_raced_out_is_never_the_best(self, store: Store) -> None:
        """Its few samples say that it is slow, and no more."""
        store.add(_raced_out(a_record(config=SMALL, us=5.0)))
        assert store.best(a_key()) is None
        store.add(a_record(config=LARGE, us=9.0))
        assert _best_config(store) == LARGE
        store.add(_raced_out(a_record(config=LARGE, us=9.0, minutes=1)))
        assert store.best(a_key()) is None

    def test_the_winner_of_a_tie_is_the_best_though_its_median_is_not(self, store: Store) -> None:
        """What a playoff decided by its rule is what every later look-up says."""
        store.add(a_record(config=SMALL, us=10.0, phase="playoff"))
        won = Verdict(ranked_us=9.99, confidence=0.9, rounds=6)
        store.add(replace(a_record(config=LARGE, us=10.01, phase="playoff"), verdict=won))
        assert _best_config(store) == LARGE

    def test_a_config_keeps_the_order_of_its_parameters(self, store: Store) -> None:
        """People read a config in the order of its space."""
        store.add(a_record(config={"STAGES": 3, "BLOCK_M": 64, "ASYNC": True}))
        best = store.best(a_key())
        assert best is not None
        assert list(best.config) == ["STAGES", "BLOCK_M", "ASYNC"]

    def test_a_failure_comes_back_with_its_kind_and_its_reason(self, store: Store) -> None:
        """A failure is stored like any result."""
        record = a_record(failure=Failure("compile", "ptxas: 300 registers > 255\n\tin kernel µ"))
        store.add(record)
        assert store.records(a_key()) == [record]

    def test_adding_the_same_record_twice_keeps_it_once(self, store: Store) -> None:
        """A worker may repeat what it was not sure to have said."""
        for _ in range(2):
            store.add(a_record())
            store.add(a_record(failure=Failure("launch", "too many threads"), minutes=1))
        assert len(store.records(a_key())) == 2

    def test_records_that_differ_in_anything_are_all_kept(self, store: Store) -> None:
        """Idempotence is about the same record, not about the same config."""
        store.add(a_record())
        store.add(a_record(minutes=1))
        store.add(a_record(us=10.5))
        store.add(a_record(recorded_by="somebody else"))
        store.add(a_record(phase="playoff"))
        assert len(store.records(a_key())) == 5

    def test_a_stamp_is_an_instant_whatever_its_zone(self, store: Store) -> None:
        """The same moment told in another zone is the same record, kept in UTC."""
        record = a_record()
        elsewhere = A_STAMP.astimezone(timezone(timedelta(hours=9)))
        store.add(record)
        store.add(Record(**{**vars(record), "recorded_at": elsewhere}))
        kept = store.records(a_key())
        assert kept == [record]
        assert kept[0].recorded_at.tzinfo == UTC

    def test_control_characters_stop_at_the_door(self, store: Store) -> None:
        """What a compiler or a stranger says may not steer a terminal or break a database."""
        dirty = "\x1b[31merror\x1b[0m:\x00 bad\x07\r\n\tline 2 \udc80\u202e"
        store.add(a_record(failure=Failure("compile", dirty), recorded_by="eve\n\x1b[2Jroot\x00"))
        (record,) = store.records(a_key())
        assert record.outcome == Failure("compile", "error: bad\n\tline 2 ")
        assert record.recorded_by == "eve root"

    def test_the_lowest_median_wins(self, store: Store) -> None:
        """The median counts, not the luckiest sample."""
        store.add(a_record(config=SMALL, us=(1.0, 20.0, 21.0)))
        store.add(a_record(config=LARGE, us=(9.0, 10.0, 11.0)))
        assert _best_config(store) == LARGE

    def test_equal_medians_are_settled_by_the_smallest_config_digest(self, store: Store) -> None:
        """The same facts give the same answer, in whatever order they came."""
        configs = [{"BLOCK_M": size} for size in (16, 32, 64, 128, 256)]
        records = [a_record(config=config, us=5.0) for config in configs]
        for record in sorted(records, key=lambda record: record.config.digest, reverse=True):
            store.add(record)
        best = store.best(a_key())
        assert best is not None
        assert best.config.digest == min(record.config.digest for record in records)

    def test_a_playoff_beats_any_search(self, store: Store) -> None:
        """Times taken side by side outweigh a lucky time from the search."""
        store.add(a_record(config=SMALL, us=5.0, minutes=2))
        store.add(a_record(config=LARGE, us=8.0, minutes=1, phase="playoff"))
        assert _best_config(store) == LARGE

    def test_of_one_config_the_latest_time_counts(self, store: Store) -> None:
        """A time taken again replaces the old one, for better or worse."""
        store.add(a_record(config=LARGE, us=9.0, minutes=1))
        store.add(a_record(config=SMALL, us=12.0, minutes=3))
        store.add(a_record(config=SMALL, us=5.0, minutes=2))
        assert _best_config(store) == LARGE

    def test_of_two_records_of_one_instant_the_one_that_came_last_counts(self, store: Store) -> None:
        """A clock that stands still settles nothing, the order of arrival does."""
        store.add(a_record(config=SMALL, us=5.0))
        store.add(a_record(config=SMALL, us=12.0))
        store.add(a_record(config=LARGE, us=9.0))
        assert _best_config(store) == LARGE

    def test_a_failure_is_never_the_best(self, store: Store) -> None:
        """A config that did not work is no answer."""
        store.add(a_record(failure=Failure("incorrect", "max error 3.0")))
        assert store.best(a_key()) is None
        assert store.candidates("gemm") == []

    def test_a_config_that_failed_since_is_out(self, store: Store) -> None:
        """A good time does not excuse a wrong result that was seen later, in whichever phase."""
        store.add(a_record(config=SMALL, us=5.0))
        store.add(a_record(config=LARGE, us=9.0))
        store.add(a_record(config=SMALL, failure=Failure("incorrect", "nan"), phase="playoff", minutes=1))
        assert _best_config(store) == LARGE

    def test_a_config_that_works_again_is_back(self, store: Store) -> None:
        """The last word on a config counts, good as well as bad."""
        store.add(a_record(config=SMALL, failure=Failure("timeout", "30 s")))
        store.add(a_record(config=SMALL, us=5.0, minutes=1))
        assert _best_config(store) == SMALL

    def test_templates_narrow_what_is_best(self, store: Store) -> None:
        """A caller who can run one template is not told of another; a playoff among the others decides nothing."""
        store.add(a_record(config=SMALL, us=5.0, template_digest=OTHER_TEMPLATE, phase="playoff"))
        store.add(a_record(config=LARGE, us=9.0))
        assert _best_config(store) == SMALL
        assert _best_config(store, A_TEMPLATE) == LARGE
        assert _best_config(store, A_TEMPLATE, OTHER_TEMPLATE) == SMALL
        assert store.best(a_key(), ["d" * 32]) is None

    def test_one_config_in_two_templates_is_two_configs(self, store: Store) -> None:
        """The same values mean other code in another template."""
        store.add(a_record(config=SMALL, us=5.0))
        store.add(a_record(config=SMALL, failure=Failure("launch", "no"), template_digest=OTHER_TEMPLATE, minutes=1))
        assert _best_config(store) == SMALL

    def test_a_record_answers_for_exactly_its_key(self, store: Store) -> None:
        """Another problem, another driver or another policy is another key."""
        store.add(a_record())
        others = [a_key(a_problem(m=512)), a_key(driver="560.28"), a_key(policy=Policy("warm", "graph"))]
        assert [store.best(key) for key in others] == [None, None, None]
        assert [store.records(key) for key in others] == [[], [], []]

    def test_a_problem_is_found_with_its_fields_in_another_order(self, store: Store) -> None:
        """Identity is by named fields."""
        store.add(a_record())
        problem = a_problem()
        turned = type(problem)(problem.op, problem.fields[::-1], (("flops", 1),))
        assert store.best(a_key(turned)) == a_record()

    def test_records_come_oldest_first(self, store: Store) -> None:
        """By their stamp, not by arrival: workers report late."""
        for minutes in (2, 0, 1):
            store.add(a_record(minutes=minutes))
        assert store.records(a_key()) == [a_record(minutes=minutes) for minutes in (0, 1, 2)]

    def test_candidates_are_the_best_of_each_key_of_an_op(self, store: Store) -> None:
        """A lookup chooses among keys; the choice within a key and template is made already."""
        here, there = a_key(), a_key(driver="560.28")
        cpu = RecordKey(a_problem(m=512), a_key(kind="cpu").target, Policy("cold", "eager"))
        for key in (here, there, cpu):
            store.add(a_record(key, config=SMALL, us=7.0))
            store.add(a_record(key, config=LARGE, us=6.0, minutes=1))
        store.add(a_record(a_key(a_problem("conv"))))
        found = store.candidates("gemm")
        assert {record.key for record in found} == {here, there, cpu}
        assert {record.key.digest for record in found} == {here.digest, there.digest, cpu.digest}
        assert [dict(record.config) for record in found] == [LARGE] * 3
        assert [record.key for record in store.candidates("gemm", cpu.problem.digest)] == [cpu]
        assert store.candidates("gemm", a_problem("conv").digest) == []
        assert store.candidates("attention") == []

    def test_candidates_keep_templates_apart(self, store: Store) -> None:
        """An old template's record must not hide the one of the template that is there now."""
        old = replace(a_record(us=1.0), template_digest=OTHER_TEMPLATE)
        store.add(old)
        store.add(a_record(us=2.0, minutes=1))
        assert store.candidates("gemm") == [old, a_record(us=2.0, minutes=1)]

    def test_targets_are_those_that_records_are_kept_for(self, store: Store) -> None:
        """By name, each once."""
        keys = [a_key(), a_key(kind="cpu"), a_key(policy=Policy("warm"))]
        for key in keys:
            store.add(a_record(key))
        assert store.targets() == [keys[0].target, keys[1].target]

    def test_an_incident_blames_no_config(self, store: Store) -> None:
        """The machine's trouble is noted and changes no answer."""
        store.add(a_record())
        store.add_incident(a_key(), Incident("device_lost", "fell off the bus\x00"))
        assert store.best(a_key()) == a_record()
        assert store.records(a_key()) == [a_record()]

    @pytest.mark.parametrize("seed", range(5))
    def test_the_rule_holds_for_any_history(self, store: Store, seed: int) -> None:
        """Whatever was recorded, in whatever order, the best is what the rule (`rules.winner`) says."""
        rng = random.Random(seed)
        keys = [a_key(), a_key(driver="560.28")]
        history = [_random_record(rng, rng.choice(keys)) for _ in range(60)]
        for record in history:
            store.add(record)
        for templates in ([], [A_TEMPLATE], [OTHER_TEMPLATE]):
            for key in keys:
                seen = dict.fromkeys(
                    r for r in history if r.key == key and (not templates or r.template_digest in templates)
                )
                assert store.best(key, templates) == winner(seen)
        groups = [(key, template) for key in keys for template in (A_TEMPLATE, OTHER_TEMPLATE)]
        expected = {(k, t): best for k, t in groups if (best := store.best(k, [t]))}
        assert {(r.key, r.template_digest): r for r in store.candidates("gemm")} == expected

    def test_threads_may_add_and_ask_at_once(self, store: Store) -> None:
        """No lock is the caller's business."""
        records = [a_record(config={"BLOCK_M": number}, us=10.0 + number) for number in range(40)]

        def add_and_ask(record: Record) -> bool:
            store.add(record)
            return store.best(a_key()) is not None

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(add_and_ask, records))
        assert len(store.records(a_key())) == 40
        assert store.best(a_key()) == records[0]

    def test_close_may_be_called_twice(self, store: Store) -> None:
        """Whoever cleans up need not ask who did before."""
        store.close()
        store.close()


def _best_config(store: Store, *template_digests: str) -> dict[str, object] | None:
    best = store.best(a_key(), template_digests)
    return dict(best.config) if best else None


def _raced_out(record: Record) -> Record:
    assert record.measurement is not None
    return replace(record, outcome=replace(record.measurement, raced_out=True))


def _random_record(rng: random.Random, key: RecordKey) -> Record:
    failure = Failure("runtime", "SIGSEGV") if rng.random() < 0.3 else None
    record = a_record(
        key,
        {"BLOCK_M": rng.choice([16, 32, 64])},
        float(rng.randint(1, 6)),
        failure=failure,
        template_digest=rng.choice([A_TEMPLATE, OTHER_TEMPLATE]),
        phase=rng.choice(["search", "search", "playoff"]),
        minutes=rng.randint(0, 20),
    )
    return _raced_out(record) if failure is None and rng.random() < 0.2 else record
