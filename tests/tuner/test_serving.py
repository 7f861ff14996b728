"""What a server is handed of one store: cheap where many miss at once."""

from concurrent.futures import ThreadPoolExecutor

from builders import a_target, a_winner
from kerntune.cache.memory import MemoryStore
from kerntune.cache.records import Policy
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.lookup import MOST_EXPLAINED, Query
from kerntune.tuner.serving import StoreServices

(TILED,) = templates_named("gemm", ["triton_tiled"])


class Counted(MemoryStore):
    """Counts how often all that is known of an op is read."""

    readings = 0

    def candidates(self, op, problem_digest=None):
        self.readings += problem_digest is None
        return super().candidates(op, problem_digest)


def problem(m):
    return op_named("gemm").problem("gpu", m=m, n=1024, k=1024, layout="nt")


def test_a_thousand_misses_read_what_is_known_of_the_op_once():
    """Each is told what the nearest record differs in."""
    store = Counted()
    store.add(a_winner(problem(1024), 9.0, TILED, None, a_target()))
    services = StoreServices(store)
    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(lambda m: services.explain_miss(Query(problem(m), Policy(), a_target())), range(1, 1001)))
    assert told[6] == ["m: 7 here, 1024 stored"]
    assert store.readings == 1


def test_a_miss_is_explained_by_the_problem_that_is_most_alike():
    """However many others there are."""
    store = MemoryStore()
    (config, *_) = TILED.seed_configs(TILED.feasible(problem(512), a_target()), problem(512), a_target())
    others = [op_named("gemm").problem("gpu", m=m, n=m, k=64, layout="tn") for m in range(1, MOST_EXPLAINED + 50)]
    store.add_many([a_winner(of, 9.0, TILED, config, a_target()) for of in (*others, problem(512))])
    told = StoreServices(store).explain_miss(Query(problem(7), Policy(), a_target()))
    assert told == ["m: 7 here, 512 stored"]
