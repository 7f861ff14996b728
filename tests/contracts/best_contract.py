"""Which record every Store calls the best of a key; a part of StoreContract."""

import random
from dataclasses import replace

import pytest
from builders import A_TEMPLATE, a_key, a_record
from kerntune.cache.records import Failure, Record, RecordKey, Verdict
from kerntune.cache.rules import winner
from kerntune.cache.store import Store

SMALL, LARGE = {"BLOCK_M": 32}, {"BLOCK_M": 128}
OTHER_TEMPLATE = "c" * 32


class BestContract:
    """The laws of `best`, over an empty `store` for each test."""

    def test_a_config_raced_out_is_never_the_best(self, store: Store) -> None:
        """Its few samples say that it is slow, and no more."""
        store.add(raced_out(a_record(config=SMALL, us=5.0)))
        assert store.best(a_key()) is None
        store.add(a_record(config=LARGE, us=9.0))
        assert _best_config(store) == LARGE
        store.add(raced_out(a_record(config=LARGE, us=9.0, minutes=1)))
        assert store.best(a_key()) is None

    def test_the_winner_of_a_tie_is_the_best_though_its_median_is_not(self, store: Store) -> None:
        """What a playoff decided by its rule is what every later look-up says."""
        store.add(a_record(config=SMALL, us=10.0, phase="playoff"))
        won = Verdict(ranked_us=9.99, confidence=0.9, rounds=6)
        store.add(replace(a_record(config=LARGE, us=10.01, phase="playoff"), verdict=won))
        assert _best_config(store) == LARGE

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


def raced_out(record: Record) -> Record:
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
    return raced_out(record) if failure is None and rng.random() < 0.2 else record


def _best_config(store: Store, *template_digests: str) -> dict[str, object] | None:
    best = store.best(a_key(), template_digests)
    return dict(best.config) if best else None
