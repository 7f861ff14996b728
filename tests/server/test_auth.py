"""Who may ask, for what, and what a browser may not do."""

import time
from datetime import timedelta

import pytest
from asking import PATH, SHAPE, a_gemm_record, refused
from guarded import Guard, whoami
from kerntune.cache.keys import SCOPES
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_keys import MemoryKeys
from kerntune.server import key_ring
from kerntune.server.app import create_app
from kerntune.server.rates import Rates
from kerntune.spaces.errors import StoreError
from kerntune.tuner.key_services import KeyBook
from kerntune.tuner.serving import StoreServices


def test_a_server_without_keys_is_open_on_loopback():
    """To all its machine's programs, for everything."""
    status, _, body = Guard().ask("POST", "/v1/generations")
    assert (status, body["scopes"]) == (200, sorted(SCOPES))


@pytest.mark.parametrize("options", [{"listens_on": "0.0.0.0"}, {"listens_on": "192.0.2.7"}])
def test_a_server_bound_beyond_loopback_is_never_open(options):
    """Even to its own machine, even without keys."""
    assert Guard(**options).ask()[0] == 401


def test_a_connection_that_does_not_end_at_loopback_needs_a_key():
    """Whatever the settings say the server listens on."""
    assert Guard().ask(server=("192.0.2.7", 8420))[0] == 401


def test_with_the_first_key_the_server_closes_even_where_it_is_revoked():
    """Revoking the last key opens nothing."""
    guard = Guard()
    key = guard.book.create("ci", ("read",)).key
    guard.book.revoke(key.id)
    status, headers, body = guard.ask()
    assert (status, body["type"]) == (401, "/problems/unauthorised")
    assert headers[b"www-authenticate"].startswith(b"Bearer")
    assert headers[b"content-type"] == b"application/problem+json"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_asked_without_a_key(path):
    """And without the database."""
    guard = Guard(listens_on="0.0.0.0")
    guard.keys.trouble = StoreError("gone")
    assert guard.ask(path=path)[0] == 200


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("read", "GET", "/v1/configs/gemm", 200),
        ("read", "HEAD", "/v1/configs/gemm", 200),
        ("read", "GET", "/metrics", 200),
        ("read", "POST", "/v1/lookup", 200),
        ("read", "POST", "/v1/jobs", 403),
        ("read", "POST", "/v1/targets", 403),
        ("submit", "GET", "/v1/configs/gemm", 200),
        ("submit", "POST", "/v1/jobs", 200),
        ("submit", "DELETE", "/v1/jobs/7", 200),
        ("submit", "POST", "/v1/jobs/claim", 403),
        ("submit", "POST", "/v1/targets", 200),
        ("record", "POST", "/v1/jobs/7/finish", 200),
        ("record", "POST", "/v1/records", 200),
        ("record", "POST", "/v1/jobs", 403),
        ("record", "POST", "/v1/generations", 403),
        ("admin", "POST", "/v1/generations", 200),
        ("admin", "GET", "/v1/nothing", 200),
        ("read", "GET", "/v1/nothing", 403),
        ("record", "GET", "/v1//records", 403),
    ],
)
def test_a_key_opens_what_its_scopes_allow(scope, method, path, status):
    """And nothing else; what no table names needs admin."""
    guard = Guard()
    said = guard.ask(method, path, guard.key(scope))
    assert said[0] == status
    if status == 403:
        assert said[2]["type"] == "/problems/forbidden"
        assert "needs scope" in said[2]["detail"]


def test_the_routes_learn_whose_key_it_is():
    """Its name and all that it allows."""
    guard = Guard()
    _, _, body = guard.ask(key=guard.key("submit"))
    assert (body["name"], body["scopes"]) == ("ci", ["read", "submit"])


@pytest.mark.parametrize("presented", ["", "x", "kt_aaaaaaaaaaaa_" + "b" * 32, "ÿ" * 50])
def test_a_key_that_is_none_is_refused(presented):
    """Whatever it looks like."""
    guard = Guard()
    guard.key()
    guard.clock.s += 1
    assert guard.ask(headers=[(b"authorization", b"Bearer " + presented.encode("latin-1"))])[0] == 401


def test_the_right_id_with_a_wrong_secret_is_refused_and_asks_no_database():
    """It is compared with what is known."""
    guard = Guard()
    key = guard.key()
    guard.ask(key=key)
    wrong = key[:-4] + ("aaaa" if key[-4:] != "aaaa" else "bbbb")
    reads = guard.keys.reads
    for _ in range(5):
        assert guard.ask(key=wrong)[0] == 401
    assert guard.keys.reads == reads


@pytest.mark.parametrize("prefix", [b"Bearer ", b"bearer ", b"BEARER  "])
def test_the_name_of_the_scheme_may_be_written_in_any_case(prefix):
    """RFC 9110 says so."""
    guard = Guard()
    assert guard.ask(headers=[(b"authorization", prefix + guard.key().encode())])[0] == 200


def test_known_keys_are_read_once_a_second_not_for_each_request():
    """A hundred requests, one reading."""
    guard = Guard()
    key = guard.key()
    for _ in range(100):
        assert guard.ask(key=key)[0] == 200
    assert guard.keys.reads == 1


def test_a_revoked_key_is_refused_after_two_seconds():
    """As the documents promise."""
    guard = Guard()
    key = guard.key()
    guard.ask(key=key)
    guard.book.revoke(guard.keys.all()[0].id)
    guard.clock.s += 2
    assert guard.ask(key=key)[0] == 401


def test_a_key_that_expires_is_refused():
    """By the server's clock."""
    guard = Guard()
    key = guard.book.create("ci", ("read",), timedelta(0)).text
    assert guard.ask(key=key)[0] == 401


def test_a_key_made_a_moment_ago_opens_at_once():
    """Though the keys were read just before."""
    guard = Guard()
    guard.ask(key=guard.key())
    guard.clock.s += 0.2
    assert guard.ask(key=guard.key())[0] == 200


def test_without_the_database_nobody_gets_in_once_the_keys_are_old():
    """503: the caller did nothing wrong."""
    guard = Guard()
    key = guard.key()
    guard.ask(key=key)
    guard.keys.trouble = StoreError("gone")
    guard.clock.s += 1.5
    assert guard.ask(key=key)[0] == 200
    guard.clock.s += 0.6
    status, _, body = guard.ask(key=key)
    assert (status, body["type"]) == (503, "/problems/store")


def test_nobody_waits_long_for_a_database_that_does_not_answer(monkeypatch):
    """503 instead of a hanging request."""
    monkeypatch.setattr(key_ring, "TIMEOUT_S", 0.05)
    guard = Guard()
    guard.keys.all = lambda: time.sleep(0.3) or []
    status, _, body = guard.ask()
    assert (status, body["type"]) == (503, "/problems/store")


def test_a_hot_answer_is_given_to_nobody_without_a_key(browse_app):
    """Auth stands before what is remembered."""
    store, keys = MemoryStore(), MemoryKeys()
    store.add(a_gemm_record())
    key = KeyBook(keys).create("ci", ("read",)).text
    app = create_app(StoreServices(store, lambda: "1"), keys=keys)
    friend, stranger = browse_app(app, Authorization=f"Bearer {key}"), browse_app(app)
    answers = [friend.get(PATH, params=SHAPE) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    refused(stranger.get(PATH, params=SHAPE), 401, "/problems/unauthorised")
    unchanged = {"if-none-match": answers[0].headers["etag"]}
    assert friend.get(PATH, params=SHAPE, headers=unchanged).status_code == 304
    assert stranger.get(PATH, params=SHAPE, headers=unchanged).status_code == 401


def test_guessing_is_slowed_down_by_address():
    """429, and when to come again."""
    guard = Guard(rates=Rates(1, 3))
    right = guard.key()
    guard.ask(key=right)
    wrong = right[:-4] + ("aaaa" if right[-4:] != "aaaa" else "bbbb")
    statuses = [guard.ask(key=wrong)[0] for _ in range(5)]
    assert statuses == [401] * 3 + [429] * 2
    assert guard.ask(key=right)[0] == 200


def test_a_flood_of_keys_that_nobody_made_asks_the_database_ten_times_a_second():
    """However many they are; each waits for the next reading."""
    guard = Guard()
    guard.ask(key=guard.key())
    guard.clock.s += 0.2
    reads = guard.keys.reads
    for number in range(20):
        assert guard.ask(key=f"kt_{'abcdefghijklmnopqrst'[number] * 12}_{'b' * 32}")[0] == 401
    assert guard.keys.reads == reads + 1


def test_a_key_asks_as_often_as_it_may():
    """Each on its own account."""
    guard = Guard(rates=Rates(2, 3))
    first, second = guard.key(), guard.key()
    assert [guard.ask(key=first)[0] for _ in range(4)] == [200] * 3 + [429]
    status, headers, _ = guard.ask(key=first)
    assert (status, headers[b"retry-after"]) == (429, b"1")
    assert guard.ask(key=second)[0] == 200
    guard.clock.s += 0.5
    assert guard.ask(key=first)[0] == 200


def test_a_key_has_a_quota_of_jobs():
    """Of asking for them only."""
    guard = Guard(submits=Rates(2 / 3600, 2))
    key = guard.key("submit")
    assert [guard.ask("POST", "/v1/jobs", key)[0] for _ in range(3)] == [200, 200, 429]
    assert guard.ask("GET", "/v1/jobs", key)[0] == 200


def test_a_batch_of_lookups_takes_its_jobs_from_the_same_quota():
    """Its route learns from the body how many they are."""
    guard = Guard(submits=Rates(1 / 3600, 1))
    key = guard.key("submit")
    asked = []

    async def batch(scope, receive, send):
        asked.extend((scope["kerntune.submit_wait_s"](), scope["kerntune.submit_wait_s"]()))
        await whoami(scope, receive, send)

    guard.auth._app = batch
    assert guard.ask("POST", "/v1/lookup", key)[0] == 200
    assert asked == [0.0, pytest.approx(3600.0)]
    assert guard.ask("POST", "/v1/jobs", key)[0] == 429


def test_when_a_key_was_used_last_is_noted_once_a_minute():
    """Beside the request."""
    guard = Guard()
    key = guard.key()
    noted = []
    guard.keys.used = lambda key_id, at: noted.append(key_id)

    for seconds in (0, 1, 30, 61, 62):
        guard.clock.s = 1000.0 + seconds
        guard.ask(key=key)
    assert len(noted) == 2


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"localhost:8420", 200),
        (b"LOCALHOST", 200),
        (b"[::1]:8420", 200),
        (b"box.internal", 200),
        (b"rebound.example", 403),
        (b"127.0.0.1.example:8420", 403),
        (b"localhost:x", 403),
    ],
)
def test_an_open_server_answers_only_to_its_own_names(host, status):
    """A page whose host was made to point at this machine is another site's page."""
    guard = Guard(hosts=["box.internal"])
    said = guard.ask(headers=[(b"host", host)])
    assert said[0] == status
    assert status == 200 or said[2]["type"] == "/problems/foreign"


@pytest.mark.parametrize(
    ("method", "origin", "status"),
    [
        ("POST", b"http://evil.example", 403),
        ("POST", b"null", 403),
        ("POST", b"http://127.0.0.1:3000", 403),
        ("DELETE", b"http://evil.example", 403),
        ("POST", b"http://127.0.0.1:8420", 200),
        ("GET", b"http://evil.example", 200),
    ],
)
def test_a_page_of_another_site_changes_nothing_on_an_open_server(method, origin, status):
    """A form is sent without asking; what comes back the page may not read."""
    assert Guard().ask(method, headers=[(b"origin", origin)])[0] == status
