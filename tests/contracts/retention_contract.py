"""What every Retention does. A test class of an implementation inherits RetentionContract and gives its fixtures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from builders import A_STAMP, a_key, a_problem, a_record
from kerntune.cache.records import Failure, Record
from kerntune.cache.retention import MOST_KEYS, Keep, Removed, Retention
from kerntune.cache.store import Store
from kerntune.spaces.errors import UsageError

LATER = A_STAMP + timedelta(days=1)
LEAST = Keep(LATER, best=1, failures=False)


def some(count: int, start: int = 0, **words: object) -> list[Record]:
    """Records of distinct configs of one key, the fastest first."""
    return [a_record(words.get("key"), {"BLOCK_M": number}, 10.0 + number) for number in range(start, start + count)]


def remember(store: Store, records: Sequence[Record]) -> None:
    """Keep them, and then a winner of another key: the newest row of all may stay, as its number is given only once."""
    store.add_many([*records, a_record(a_key(a_problem(m=77)))])


def swept(retention: Retention, keep: Keep, dry_run: bool = False) -> Removed:
    """What went in all chunks."""
    removed, after = Removed(), None
    while True:
        chunk = retention.sweep_records(keep, dry_run, after)
        removed, after = removed + chunk.removed, chunk.next
        if after is None:
            return removed


class RetentionContract:
    """The laws of the port. The subclass gives an empty `store`, its `retention`, and `freeze`, which names a key."""

    def test_the_best_few_of_each_template_stay(self, store: Store, retention: Retention) -> None:
        """The winner with them; the rest goes."""
        remember(
            store, [*some(6), *(a_record(us=20.0 + n, config={"X": n}, template_digest="e" * 32) for n in range(4))]
        )
        best = store.best(a_key())
        assert swept(retention, Keep(LATER, best=2)).rows == 6
        assert [record.outcome.median_us for record in store.records(a_key())] == [10.0, 11.0, 20.0, 21.0]
        assert store.best(a_key()) == best

    def test_what_is_younger_stays(self, store: Store, retention: Retention) -> None:
        """However slow."""
        remember(store, some(5))
        assert swept(retention, Keep(A_STAMP, best=1)).rows == 0
        assert len(store.records(a_key())) == 5

    def test_a_dry_run_counts_and_changes_nothing(self, store: Store, retention: Retention) -> None:
        """As many rows as would go."""
        remember(store, some(5))
        planned = swept(retention, LEAST, dry_run=True)
        assert len(store.records(a_key())) == 5
        assert (swept(retention, LEAST), planned.rows) == (planned, 4)
        assert swept(retention, LEAST) == Removed()

    def test_older_times_of_a_config_that_stays_go(self, store: Store, retention: Retention) -> None:
        """Its last of search and of playoff stay."""
        times = [a_record(us=10.0 + n, minutes=n, phase=phase) for n, phase in enumerate(("search", "playoff") * 2)]
        remember(store, times)
        assert swept(retention, LEAST).rows == 2
        assert store.records(a_key()) == times[2:]

    def test_failures_go_only_where_that_is_said(self, store: Store, retention: Retention) -> None:
        """They keep others from trying the same again."""
        remember(store, [a_record(), a_record(config={"X": 1}, failure=Failure("compile", "no"))])
        assert swept(retention, Keep(LATER, best=1)).rows == 0
        assert swept(retention, LEAST).rows == 1

    def test_a_failure_that_bars_a_time_stays_with_it(self, store: Store, retention: Retention) -> None:
        """Or the config would be the best again."""
        barred = [a_record(us=1.0), a_record(minutes=1, failure=Failure("runtime", "no"))]
        remember(store, [*barred, a_record(config={"X": 1})])
        for keep in (Keep(A_STAMP + timedelta(seconds=1), 1, failures=False), LEAST):
            swept(retention, keep)
            assert store.best(a_key()) == a_record(config={"X": 1})

    def test_nothing_of_a_key_that_a_generation_names_goes(
        self, store: Store, retention: Retention, freeze: Callable[[str], None]
    ) -> None:
        """What was frozen can be looked into for ever."""
        other = a_key(a_problem(m=512))
        remember(store, [*some(3), *some(3, key=other)])
        freeze(a_key().digest)
        assert swept(retention, LEAST).rows == 2
        assert (len(store.records(a_key())), len(store.records(other))) == (3, 1)

    def test_many_keys_are_swept_in_chunks(self, store: Store, retention: Retention) -> None:
        """Each a transaction of its own."""
        for number in range(MOST_KEYS + 3):
            store.add_many(some(2, key=a_key(a_problem(m=number + 100))))
        store.add(a_record(a_key(a_problem(m=100)), us=1.0))
        first = retention.sweep_records(LEAST)
        assert first.next is not None
        assert first.removed.rows + swept(retention, LEAST).rows == MOST_KEYS + 4

    def test_the_winner_cannot_be_given_up(self) -> None:
        """Not by a wish either."""
        with pytest.raises(UsageError, match="--keep-best is 0"):
            Keep(LATER, best=0)

    def test_a_full_reading_goes_on_across_a_sweep(self, store: Store, retention: Retention) -> None:
        """Cursors still say where to go on."""
        remember(store, some(6))
        page = store.page(limit=3)
        swept(retention, LEAST)
        store.add(a_record(config={"NEW": 1}))
        rest = store.page(cursor=page.next).records
        assert [dict(record.config) for record in rest if record.key == a_key()] == [{"NEW": 1}]

    def test_the_newest_row_of_all_may_go_or_stay_but_no_cursor_meets_its_number_again(
        self, store: Store, retention: Retention
    ) -> None:
        """A number that is given twice would hide the second record from whoever reads on."""
        store.add_many(some(4))
        page = store.page(limit=3)
        swept(retention, LEAST)
        store.add(a_record(config={"NEW": 1}))
        assert {"NEW": 1} in [dict(record.config) for record in store.page(cursor=page.next).records]

    def test_close_may_be_called_twice(self, retention: Retention) -> None:
        """Whoever cleans up need not ask who did before."""
        retention.close()
        retention.close()
