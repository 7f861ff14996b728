"""32 processes write to one database at once: nothing is lost, nothing is there twice, nobody is refused."""

from contextlib import closing

import pytest
from kerntune.cache.paging import every_record
from kerntune.cache.sql import SqlStore
from writers import go, writer

WRITERS, EACH, SHARED = 32, 1000, 100

PROGRAM = """
import sys
from builders import a_record
from kerntune.cache.sql import SqlStore
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
store = SqlStore.open(url)
for number in range(count):
    by = "all" if number % 10 == 0 else name  # every tenth is written by all of them
    store.add(a_record(config={"writer": by, "number": number}, us=1.0 + number))
print(count, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_32_writers_lose_nothing_double_nothing_and_meet_no_error(database, request, tmp_path):
    """1,000 records each, one by one; every tenth is the same for all."""
    url = f"sqlite:///{tmp_path}/w.db" if database == "sqlite" else request.getfixturevalue("postgres_url")
    SqlStore.open(url).close()
    writers = [writer(url, f"w{number}", EACH, PROGRAM) for number in range(WRITERS)]
    go(*writers)
    for process in writers:
        said, complaint = process.communicate(timeout=280)
        assert (process.returncode, said, complaint) == (0, f"{EACH}\n", "")
    with closing(SqlStore.open(url)) as store:
        kept = [
            (r.config["writer"], r.config["number"]) for r in every_record(lambda cursor: store.page(cursor=cursor))
        ]
    own = {(f"w{writer}", number) for writer in range(WRITERS) for number in range(EACH) if number % 10}
    assert set(kept) == own | {("all", number) for number in range(0, EACH, 10)}
    assert len(kept) == len(set(kept)) == WRITERS * (EACH - SHARED) + SHARED
