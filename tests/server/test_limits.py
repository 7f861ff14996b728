"""What is too long, too large, too slow or too often."""

import pytest
from guarded import ask, whoami
from kerntune.server.limits import Limits
from kerntune.server.rates import Rates


@pytest.fixture
def limited():
    return Limits(whoami, max_body_bytes=100, max_head_bytes=200, body_s=0.1)


def test_a_body_within_bounds_comes_through(limited):
    """In one piece or in many."""
    for chunks in ([b"x" * 100], [b"x" * 40, b"x" * 60]):
        status, _, body = ask(limited, "POST", chunks=chunks)
        assert (status, body["n"]) == (200, 100)


def test_a_body_that_says_it_is_too_large_is_not_read(limited):
    """And the connection ends, for its rest would be taken for the next request."""
    status, headers, body = ask(limited, "POST", headers=[(b"content-length", b"101")])
    assert (status, body["type"], headers[b"connection"]) == (413, "/problems/too-large", b"close")


@pytest.mark.parametrize("length", [b"9" * 5000, b"1" + b"0" * 30])
def test_an_absurd_length_is_too_large(limited, length):
    """No integer is made of five thousand digits."""
    assert ask(limited, "POST", headers=[(b"content-length", length[:150])])[0] == 413


def test_a_body_that_grows_too_large_is_refused(limited):
    """Counted, whatever was said before; what the route says of half a body does not go out."""
    status, _, body = ask(limited, "POST", chunks=[b"x" * 60, b"x" * 60, b"x" * 60])
    assert (status, body["status"]) == (413, 413)


def test_a_body_that_does_not_come_is_408(limited):
    """It may be sent again."""
    status, _, body = ask(limited, "POST", chunks=[b"x", 5.0, b"y"])
    assert (status, body["type"]) == (408, "/problems/too-slow")


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
