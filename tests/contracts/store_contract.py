"""What every Store does. A test class of an implementation inherits StoreContract and gives the fixture `store`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, timedelta, timezone

from builders import A_STAMP, a_key, a_problem, a_record, a_target
from contracts.best_contract import LARGE, OTHER_TEMPLATE, SMALL, BestContract, raced_out
from contracts.page_contract import PageContract
from kerntune.cache.records import Baseline, Failure, Incident, Measurement, Policy, Record, RecordKey, Verdict
from kerntune.cache.store import Store


class StoreContract(BestContract, PageContract):
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
        other = Baseline("cublaslt", (10.2, 1 / 7), 0.4, fault="element [0, 0] is 1, should be 2")
        record = replace(
            a_record(phase="playoff", baseline=Baseline("cublas", (9.87, 9.9), 1 / 3, (0.25, 0.5), others=(other,))),
            outcome=Measurement((10.0, 1 / 3), deterministic=True, readings=readings, uses={"registers": 168}),
            verdict=Verdict(ranked_us=0.3, confidence=1 - 2**-6, rounds=2, tied_with=("e" * 32,)),
        )
        out = raced_out(a_record(minutes=1, us=3.0))
        for added in (record, out):
            store.add(added)
            store.add(added)
        assert store.records(a_key()) == [record, out]

    def test_readings_are_cleaned_at_the_door(self, store: Store) -> None:
        """Words without control characters, no number that JSON cannot say."""
        foreign = Measurement((1.0,), readings={"na\x00me": ["\x1b[31mred", float("nan")], "plain": (1, 2.5, True)})
        store.add(replace(a_record(), outcome=foreign))
        (record,) = store.records(a_key())
        assert record.measurement is not None
        assert record.measurement.readings == {"name": ["red", None], "plain": [1, 2.5, True]}

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

    def test_many_records_are_kept_at_once_and_the_new_ones_counted(self, store: Store) -> None:
        """What is known already, or twice among them, is no new record; all answer from then on."""
        store.add(a_record(minutes=1))
        other = a_record(a_key(a_problem(m=512)), us=3.0, template_digest=OTHER_TEMPLATE)
        records = [a_record(minutes=2), a_record(minutes=1), other, a_record(minutes=2), a_record(config=SMALL, us=4.0)]
        assert store.add_many(records) == 3
        assert store.add_many(records) == store.add_many([]) == 0
        assert len(store.records(a_key())) == 3
        assert store.best(a_key()) == a_record(config=SMALL, us=4.0)
        assert store.best(other.key) == other

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

    def test_a_target_can_be_kept_before_any_record_is_of_it(self, store: Store) -> None:
        """It has a digest to ask by from then on; something is known for it only once there is a record."""
        target = a_target(driver="560.28")
        assert store.target(target.digest) is None
        for _ in range(2):
            store.add_target(target)
        assert store.target(target.digest) == target
        assert store.targets() == []

    def test_a_target_that_a_record_is_of_is_found_by_its_digest(self, store: Store) -> None:
        """Whoever uploads need not say it twice."""
        store.add(a_record())
        assert store.target(a_target().digest) == a_target()
        assert store.target("f" * 32) is None

    def test_an_incident_blames_no_config(self, store: Store) -> None:
        """The machine's trouble is noted and changes no answer."""
        store.add(a_record())
        store.add_incident(a_key(), Incident("device_lost", "fell off the bus\x00"))
        assert store.best(a_key()) == a_record()
        assert store.records(a_key()) == [a_record()]

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
