"""Meanwhile: what there is for those who wait, and not reckoned once for each of them."""

from concurrent.futures import ThreadPoolExecutor

from builders import a_target, a_winner
from kerntune.cache.memory import MemoryStore
from kerntune.cache.records import Policy
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.lookup import Query
from kerntune.tuner.meanwhile import FRESH_S, Meanwhile

GEMM, TARGET = op_named("gemm"), a_target()
(TILED,) = templates_named("gemm", ["triton_tiled"])


class CountedStore(MemoryStore):
    """Counts how often everything of an op was read, as a near answer does."""

    reckoned = 0

    def candidates(self, op, problem_digest=None):
        self.reckoned += problem_digest is None
        return super().candidates(op, problem_digest)


def a_problem(k):
    return GEMM.problem("gpu", m=4096, n=4096, k=k)


def a_query(k=2048):
    return Query(a_problem(k), Policy.default_for("gpu"), TARGET)


def test_a_near_answer_is_better_than_none_and_a_record_better_than_that():
    """As soon as it is there."""
    store = CountedStore()
    meanwhile = Meanwhile(store)
    assert meanwhile(a_query(k=512)) is None
    store.add(a_winner(a_problem(4096), 180.0, TILED, None, TARGET))
    assert meanwhile(a_query()).match == "near"
    store.add(a_winner(a_problem(2048), 95.0, TILED, None, TARGET))
    assert (meanwhile(a_query()).match, meanwhile(a_query()).median_us) == ("exact", 95.0)


def test_of_many_who_ask_at_once_one_is_reckoned_for():
    """And again a second later."""
    store, now_s = CountedStore(), [0.0]
    store.add(a_winner(a_problem(4096), 180.0, TILED, None, TARGET))
    meanwhile = Meanwhile(store, lambda: now_s[0])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(meanwhile, [a_query()] * 100))
    assert {answer.match for answer in answers} == {"near"}
    assert store.reckoned == 1
    now_s[0] += FRESH_S
    meanwhile(a_query())
    assert store.reckoned == 2
