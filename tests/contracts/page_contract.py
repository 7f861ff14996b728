"""How every Store is read page by page; a part of StoreContract."""

import pytest
from builders import a_key, a_problem, a_record
from kerntune.cache.paging import MOST_PER_PAGE, every_record
from kerntune.cache.store import Store
from kerntune.spaces.errors import UsageError


class PageContract:
    """The laws of `page`, over an empty `store` for each test."""

    def test_pages_hold_every_record_once_in_order_of_arrival(self, store: Store) -> None:
        """Whatever their stamps, and however few fit a page."""
        records = [a_record(config={"N": number}, minutes=-number) for number in range(7)]
        store.add_many(records)
        store.add_many(records)
        for limit in (1, 2, 3, 7, 8):
            read = [page.records for page in pages(store, limit)]
            assert [record for page in read for record in page] == records
            assert max(map(len, read)) <= limit

    def test_an_empty_store_has_one_empty_page(self, store: Store) -> None:
        """And nothing to go on with."""
        page = store.page()
        assert (page.records, page.next) == ((), None)

    def test_a_full_last_page_leads_nowhere(self, store: Store) -> None:
        """The reader need not ask once more to learn that there is nothing."""
        store.add_many([a_record(minutes=minutes) for minutes in range(4)])
        assert store.page(limit=4).next is None

    def test_a_page_can_be_narrowed_to_op_problem_and_target(self, store: Store) -> None:
        """Alone and together; what is unknown is of no record."""
        keys = [a_key(), a_key(driver="560.28"), a_key(a_problem(m=512)), a_key(a_problem("conv"))]
        for minutes in range(2):
            store.add_many([a_record(key, minutes=minutes) for key in keys])
        of = {key: [a_record(key), a_record(key, minutes=1)] for key in keys}
        here, there, large, conv = keys

        def read(*narrowed: str | None) -> list[object]:
            return list(every_record(lambda cursor: store.page(*narrowed, cursor=cursor, limit=1)))

        assert read("conv") == of[conv]
        assert read("gemm", large.problem.digest) == of[large]
        assert read("conv", large.problem.digest) == read("attention") == read(None, "f" * 32) == []
        assert read(None, here.problem.digest, there.target.digest) == of[there]
        assert len(read(None, None, here.target.digest)) == 6

    def test_what_arrives_while_somebody_reads_disturbs_nothing(self, store: Store) -> None:
        """Nothing that was there is missed or read twice."""
        first = [a_record(config={"N": number}) for number in range(4)]
        store.add_many(first)
        begun = store.page(limit=2)
        late = a_record(config={"N": 99}, minutes=-99)
        store.add(late)
        rest = every_record(lambda cursor: store.page(cursor=cursor or begun.next, limit=2))
        assert [*begun.records, *rest] == [*first, late]

    @pytest.mark.parametrize(
        "cursor", ["", "0", "r", "rx", "r-1", "r8000000000000000", "r" + "0" * 400, "r1 ", "é\x00"]
    )
    def test_a_cursor_that_no_page_gave_is_refused(self, store: Store, cursor: str) -> None:
        """It is not taken for the beginning."""
        with pytest.raises(UsageError, match="cursor"):
            store.page(cursor=cursor)

    def test_a_page_has_bounds(self, store: Store) -> None:
        """None is empty by wish, none fills the memory."""
        for limit in (0, -1, MOST_PER_PAGE + 1):
            with pytest.raises(UsageError, match="limit"):
                store.page(limit=limit)


def pages(store: Store, limit: int) -> list:
    """Every page of a store."""
    found = [store.page(limit=limit)]
    while found[-1].next is not None:
        found.append(store.page(cursor=found[-1].next, limit=limit))
    return found
