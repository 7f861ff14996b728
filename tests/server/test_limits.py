"""What is too long, too large, too slow or too often."""

import httpx
import pytest
from guarded import ask, whoami
from kerntune.cache.memory import MemoryStore
from kerntune.server.limits import MAX_BODY_BYTES, Limits
from kerntune.server.rates import Rates
from record_server import app_of, served


@pytest.fixture
def limited():
    return Limits(whoami, max_body_bytes=100, max_head_bytes=200, body_s=0.1)


def test_a_body_within_bounds_comes_through(limited):
    """In one piece or in many."""
    for chunks in ([b"x" * 100], [b"x" * 40, b"x" * 60]):
        status, _, body = ask(limited, "POST", chunks=chunks)
        assert (status, body["n"]) == (200, 100)


def test_a_body_that_says_it_is_too_large_is_not_read(limited):
    """It is refused at once."""
    status, _, body = ask(limited, "POST", headers=[(b"content-length", b"101")], chunks=[5.0])
    assert (status, body["type"]) == (413, "/problems/too-large")


@pytest.mark.parametrize("length", [b"9" * 5000, b"1" + b"0" * 30])
def test_an_absurd_length_is_too_large(limited, length):
    """No integer is made of five thousand digits."""
    assert ask(limited, "POST", headers=[(b"content-length", length[:150])])[0] == 413


def test_a_body_that_grows_too_large_is_refused(limited):
    """Counted, whatever was said before; what the route says of half a body does not go out."""
    status, _, body = ask(limited, "POST", chunks=[b"x" * 60, b"x" * 60, b"x" * 60])
    assert (status, body["status"]) == (413, 413)


def test_a_body_that_does_not_come_is_408(limited):
    """It may be sent again, over another connection."""
    status, headers, body = ask(limited, "POST", chunks=[b"x", 5.0, b"y"])
    assert (status, body["type"], headers[b"connection"]) == (408, "/problems/too-slow", b"close")


def test_a_long_address_is_414_and_long_headers_are_431(limited):
    """Each says what is allowed."""
    assert ask(limited, "GET", "/v1/records?" + "x" * 200)[0] == 414
    assert ask(limited, "GET", "/" + "x" * 200)[0] == 414
    status, _, body = ask(limited, "GET", headers=[(b"x-long", b"x" * 200)])
    assert status == 431
    assert "200 bytes" in body["detail"]


def test_a_bucket_gives_a_burst_and_fills_again():
    """Up to the burst, never beyond."""
    rates = Rates(per_s=2, burst=3)
    assert [rates.take("a", 0.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert rates.take("b", 0.0) == 0
    assert rates.take("a", 0.5) == 0
    assert [rates.take("a", 1000.0) == 0 for _ in range(4)] == [True] * 3 + [False]


def test_buckets_do_not_fill_the_memory():
    """The oldest goes."""
    rates = Rates(per_s=1, burst=1, most=2)
    for who in ("a", "b", "c"):
        rates.take(who, 0.0)
    assert rates.take("c", 0.0) > 0
    assert rates.take("a", 0.0) == 0


@pytest.mark.parametrize("in_chunks", [False, True])
def test_who_sends_too_much_to_a_real_server_gets_to_read_why(in_chunks):
    """And goes on over the same connection; routes that read JSON see nothing of it."""
    large = b"[" + b"1," * (MAX_BODY_BYTES // 2 + 1000)
    chunks = (large[at : at + 2**16] for at in range(0, len(large), 2**16)) if in_chunks else large
    with served(Limits(app_of(MemoryStore()))) as url, httpx.Client(base_url=url) as client:
        refused = client.post("/v1/records", content=chunks, headers={"content-type": "application/json"})
        assert (refused.status_code, refused.json()["type"]) == (413, "/problems/too-large")
        assert client.get("/v1/targets").status_code == 200
