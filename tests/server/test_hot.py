"""Hot answers: given again from memory, and never when the store says something else by now."""

import asyncio

import pytest
from asking import PATH, SHAPE, a_gemm_record
from kerntune.cache.memory import MemoryStore
from kerntune.cache.sql import SqlStore
from kerntune.server.hot import HotAnswers
from kerntune.spaces.errors import StoreError
from kerntune.tuner.serving import StoreServices


@pytest.fixture
def counted(browse):
    """A browser with hot answers over a store whose state the test sets, and the count of look-ups made."""

    class Counting(StoreServices):
        asked = 0
        now: str | None = "1"

        def lookup(self, query, min_match="stale"):
            Counting.asked += 1
            return super().lookup(query, min_match)

        def state(self):
            return Counting.now

    store = MemoryStore()
    return store, Counting, browse(Counting(store))


def test_the_second_request_of_the_same_words_looks_nothing_up(counted):
    """The same bytes, the same tag."""
    store, services, browser = counted
    store.add(a_gemm_record())
    first, second = browser.get(PATH, params=SHAPE), browser.get(PATH, params=SHAPE)
    assert services.asked == 1
    assert first.content == second.content
    assert first.headers == second.headers


def test_a_commit_by_anyone_makes_every_answer_old(counted):
    """The state is all that is asked."""
    store, services, browser = counted
    store.add(a_gemm_record(us=9.0))
    browser.get(PATH, params=SHAPE)
    store.add(a_gemm_record(us=5.0, config={"BLOCK_M": 16}))
    assert browser.get(PATH, params=SHAPE).json()["median_us"] == 9.0
    services.now = "2"
    assert browser.get(PATH, params=SHAPE).json()["median_us"] == 5.0
    assert services.asked == 2


def test_what_comes_in_while_an_answer_is_made_makes_it_old(counted):
    """The state is read before the store is."""
    store, services, browser = counted
    store.add(a_gemm_record())
    real = services.lookup

    def slow(self, query, min_match="stale"):
        answer = real(self, query, min_match)
        services.now = "2"  # somebody commits here
        return answer

    services.lookup = slow
    browser.get(PATH, params=SHAPE)
    services.lookup = real
    browser.get(PATH, params=SHAPE)
    assert services.asked == 2


@pytest.mark.parametrize("header", ["{}", 'W/{}, "x"', "*"])
def test_who_has_the_answer_is_sent_nothing(counted, header):
    """From memory and from the store alike."""
    store, services, browser = counted
    store.add(a_gemm_record())
    tag = browser.get(PATH, params=SHAPE).headers["etag"]
    for state in ("1", "2", "2"):
        services.now = state
        response = browser.get(PATH, params=SHAPE, headers={"if-none-match": header.format(tag)})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
    assert services.asked == 2
    assert browser.get(PATH, params=SHAPE, headers={"if-none-match": '"other"'}).status_code == 200


def test_where_the_state_is_not_known_nothing_is_kept(counted):
    """A store that is away answers for itself."""
    store, services, browser = counted
    store.add(a_gemm_record())
    services.now = None
    for _ in range(2):
        assert browser.get(PATH, params=SHAPE).status_code == 200
    assert services.asked == 2


def test_misses_and_refusals_are_not_kept(counted):
    """What is not known may be known at any moment."""
    store, _, browser = counted
    assert browser.get(PATH, params=SHAPE | {"device": "GPU X"}).status_code == 404
    assert browser.get(PATH, params={"shape": "x"}).status_code == 422
    store.add(a_gemm_record())
    assert browser.get(PATH, params=SHAPE | {"device": "GPU X"}).status_code == 200


def test_a_broken_store_is_a_503_though_the_answer_was_held(browse):
    """An answer of which nobody knows whether it holds is none."""

    class Broken(StoreServices):
        broken = False

        def targets(self):
            if Broken.broken:
                raise StoreError("gone")
            return super().targets()

        def state(self):
            return None if Broken.broken else "1"

    store = MemoryStore()
    store.add(a_gemm_record())
    browser = browse(Broken(store))
    assert browser.get(PATH, params=SHAPE).status_code == 200
    Broken.broken = True
    assert browser.get(PATH, params=SHAPE).status_code == 503


def test_the_oldest_answer_goes_when_there_are_too_many():
    """Words that nobody repeats do not fill the memory."""

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"etag", b'"t"')]})
        await send({"type": "http.response.body", "body": b"x"})

    hot = HotAnswers(app, lambda: "1", most=2)

    async def ask(words):
        async def send(message):
            pass

        scope = {"type": "http", "method": "GET", "path": "/v1/configs/gemm", "query_string": words, "headers": []}
        await hot(scope, None, send)

    for words in (b"1", b"2", b"3", b"3", b"2", b"1"):
        asyncio.run(ask(words))
    assert (hot.hits, hot.misses) == (2, 4)


def test_two_servers_of_one_database_never_disagree(tmp_path, browse):
    """What is recorded through one is what the other answers next."""
    url = f"sqlite:///{tmp_path}/k.db"
    stores = [SqlStore.open(url) for _ in range(2)]
    browsers = [browse(StoreServices(store, store.state)) for store in stores]
    for step in range(1, 21):
        stores[step % 2].add(a_gemm_record(us=100.0 - step, config={"BLOCK_M": step}))
        for browser in browsers * 2:
            assert browser.get(PATH, params=SHAPE).json()["median_us"] == 100.0 - step
    for store in stores:
        store.close()
