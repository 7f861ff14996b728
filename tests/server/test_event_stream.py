"""Events of a job as they happen: in order, once each, for as long as somebody listens and the server runs."""

import asyncio
import json
import threading
import time
from contextlib import asynccontextmanager

import pytest
from asking import refused
from builders import A_STAMP
from job_builders import GPU, LEASE_S, NOW, a_new_job
from kerntune.cache.jobs import Happening, JobEvent
from kerntune.cache.memory import MemoryStore
from kerntune.cache.refusals import UnknownJob
from kerntune.server import event_stream
from kerntune.server.app import create_app
from kerntune.server.event_stream import EventStream, Streams
from kerntune.spaces.errors import StoreError
from kerntune.tuner.serving import StoreServices


def an_event(number, kind="trial"):
    return JobEvent(number, 1, kind, {"n": number}, A_STAMP)


class Told:
    """What a job's reader is told: a list of answers, one for each time it asks; the last one again and again."""

    def __init__(self, *answers):
        self.answers, self.asked_after = list(answers), []

    def __call__(self, after):
        self.asked_after.append(after)
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(said, Exception):
            raise said
        return said


class Listener:
    """Reads a stream as a server would send it; may leave, or stop reading."""

    def __init__(self, response):
        self.response, self.text, self.ended = response, "", False
        self.left, self.reads = asyncio.Event(), asyncio.Event()
        self.reads.set()

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        await self.reads.wait()
        self.text += message.get("body", b"").decode()
        self.ended = message["type"] == "http.response.body" and not message.get("more_body")

    async def run(self):
        await self.response({"type": "http"}, self.receive, self.send)

    async def until(self, met):
        while not met():
            await asyncio.sleep(0.01)

    def events(self):
        """(id, kind, data) of each, the comments left out."""
        blocks = [block for block in self.text.split("\n\n") if block and not block.startswith(":")]
        lines = [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]
        return [(int(line["id"]), line["event"], json.loads(line["data"])) for line in lines]


@asynccontextmanager
async def listening(read, streams=None, events=(), after=0):
    """A stream that somebody listens to; it is over within 10 s."""
    listener = Listener(EventStream(streams or Streams(), read, events, after))
    task = asyncio.create_task(listener.run())
    async with asyncio.timeout(10):
        yield listener
        await task


def test_events_are_told_in_order_and_then_the_stream_ends():
    """Each once, with its id, its kind, its data and when; the last is the end."""

    async def follow():
        told = Told(([an_event(4), an_event(7, "best")], False), ([], False), ([an_event(9, "end")], False))
        async with listening(told, events=[an_event(3)]) as listener:
            pass
        assert listener.ended
        assert [(number, kind) for number, kind, _ in listener.events()] == [
            (3, "trial"),
            (4, "trial"),
            (7, "best"),
            (9, "end"),
        ]
        assert listener.events()[0][2] == {"n": 3, "at": "2026-11-22T12:00:00.123456+00:00"}
        assert told.asked_after == [3, 7, 7]

    asyncio.run(follow())


def test_who_leaves_ends_the_stream():
    """At once, and nobody asks for it any more."""

    async def follow():
        streams, told = Streams(), Told(([], False))
        async with listening(told, streams) as listener:
            await listener.until(lambda: told.asked_after)
            assert streams.count == 1
            begun_s = time.monotonic()
            listener.left.set()
        assert time.monotonic() - begun_s < 0.5
        assert streams.count == 0
        assert not listener.ended  # there is nobody to tell

    asyncio.run(follow())


def test_a_server_that_stops_ends_every_stream_in_good_order():
    """Said from any thread, as a signal's handler does."""

    async def follow():
        streams = Streams()
        async with listening(Told(([], False)), streams) as one, listening(Told(([], False)), streams) as other:
            await one.until(lambda: streams.count == 2)
            begun_s = time.monotonic()
            thread = threading.Thread(target=streams.stop)
            thread.start()
        thread.join()
        assert time.monotonic() - begun_s < 0.5
        assert one.ended
        assert other.ended
        async with listening(Told(([], False)), streams) as late:
            pass
        assert late.ended

    asyncio.run(follow())


def test_a_client_that_reads_nothing_holds_up_no_server(monkeypatch):
    """It is given a moment, then let go."""
    monkeypatch.setattr(event_stream, "LAST_WORD_S", 0.05)

    async def follow():
        streams = Streams()
        async with listening(Told(([an_event(1)], False)), streams) as listener:
            await listener.until(lambda: listener.text)
            listener.reads.clear()
            await asyncio.sleep(0.3)
            streams.stop()
        assert not listener.ended

    asyncio.run(follow())


def test_a_read_that_hangs_holds_up_nobody():
    """A database that does not answer is left behind."""
    release = threading.Event()

    def hang(_after):
        release.wait(10)
        return [], False

    async def follow():
        streams = Streams()
        begun_s = time.monotonic()
        async with listening(hang, streams) as listener:
            await asyncio.sleep(0.3)
            streams.stop()
        assert time.monotonic() - begun_s < 1.0
        assert listener.ended
        release.set()

    asyncio.run(follow())


def test_a_store_that_is_away_for_a_while_loses_no_event(monkeypatch):
    """Who listens is told by a comment."""
    monkeypatch.setattr(event_stream, "LONGEST_WAIT_S", 0.1)

    async def follow():
        told = Told(([an_event(1)], False), StoreError("gone"), StoreError("gone"), ([an_event(2, "end")], True))
        async with listening(told) as listener:
            pass
        assert listener.text.count(": the store does not answer\n\n") == 2
        assert [number for number, *_ in listener.events()] == [1, 2]

    asyncio.run(follow())


@pytest.mark.parametrize("last", [([], True), UnknownJob("cleared away")])
def test_where_nothing_more_will_happen_the_stream_ends(last):
    """Whoever went on after the last event hears no other."""

    async def follow():
        async with listening(Told(last)) as listener:
            pass
        assert listener.ended
        assert listener.events() == []

    asyncio.run(follow())


def test_a_quiet_stream_is_kept_alive_by_comments(monkeypatch):
    """Or a proxy would cut it."""
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 0.1)

    async def follow():
        async with listening(Told(([], False))) as listener:
            await listener.until(lambda: listener.text.count(": still there\n\n") >= 2)
            listener.left.set()
        assert listener.events() == []

    asyncio.run(follow())


def test_a_quiet_job_is_asked_about_less_and_less_often():
    """Ten times a second at first, once a second at last."""

    async def follow():
        told = Told(([], False))
        async with listening(told) as listener:
            await asyncio.sleep(2.5)
            listener.left.set()
        assert 4 <= len(told.asked_after) <= 7

    asyncio.run(follow())


def test_there_are_only_so_many_streams_at_once(queue, job_services, monkeypatch, browse):
    """The next is told when to come back; a job that has ended needs no stream for it."""
    monkeypatch.setattr("kerntune.server.app.Streams", lambda: Streams(most=0))
    full = browse(StoreServices(MemoryStore()), job_services)
    queue.submit(a_new_job(), NOW)
    response = full.get("/v1/jobs/1/events")
    assert "as many as there may be" in refused(response, 503, "/problems/busy")["detail"]
    assert int(response.headers["retry-after"]) > 0


@pytest.fixture
def ended(queue):
    """A job that has ended after a trial and a best: events 1, 2 and 3."""
    queue.submit(a_new_job(), NOW)
    queue.claim(GPU, LEASE_S, NOW)
    queue.add_events(
        1, 1, [Happening("trial", {"text": "é\n\nevent: end"}), Happening("best", {"median_us": 5.0})], NOW
    )
    queue.finish(1, 1, "done", NOW, result={"match": "exact"})


def of_text(text):
    return [block.split("\n")[0] for block in text.split("\n\n") if block]


def test_a_job_that_has_ended_tells_its_events_and_ends(browser, ended):
    """Words of a worker do not break out of their line."""
    response = browser.get("/v1/jobs/1/events")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert response.headers["cache-control"] == "no-store"
    assert of_text(response.text) == ["id: 1", "id: 2", "id: 3"]
    last = json.loads(response.text.split("data: ")[-1])
    assert (last["state"], last["result"]) == ("done", {"match": "exact"})


def test_who_was_cut_off_goes_on_after_the_last_event_heard(browser, ended):
    """204 after the end: a browser does not ask again."""

    def after(word):
        return browser.get("/v1/jobs/1/events", headers={"Last-Event-ID": word})

    assert of_text(after("1").text) == ["id: 2", "id: 3"]
    assert of_text(after("").text) == ["id: 1", "id: 2", "id: 3"]
    assert (after("3").status_code, after("3").content) == (204, b"")
    for word in ("x", "-1", "1.5", "9" * 30):
        assert "Last-Event-ID" in refused(after(word), 422, "/problems/usage")["detail"]


def test_an_application_without_jobs_has_no_such_routes(store):
    """Lookups alone need no queue."""
    paths = create_app(StoreServices(store)).openapi()["paths"]
    assert not any(path.startswith(("/v1/jobs", "/v1/misses", "/v1/records")) for path in paths)
