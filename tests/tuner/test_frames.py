"""Frames between parent and child."""

import io

import pytest
from kerntune.tuner.sessions.frames import MAX_FRAME_BYTES, BadFrame, body_length, decode, encode, read_frame


def test_what_is_written_is_read():
    """One message after another, then the end."""
    stream = io.BytesIO(encode({"a": 1}) + encode({"b": "ü"}))
    assert [read_frame(stream) for _ in range(3)] == [{"a": 1}, {"b": "ü"}, None]


@pytest.mark.parametrize("bad", [b"\xff\xff\xff\xff", (MAX_FRAME_BYTES + 1).to_bytes(4, "big")])
def test_a_length_that_cannot_be_is_refused_before_it_is_read(bad):
    """Garbage on the channel must not make the parent wait for gigabytes."""
    with pytest.raises(BadFrame):
        body_length(bad)


@pytest.mark.parametrize("bad", [b"", b"not json", b"[1, 2]", b"\xff"])
def test_a_body_that_is_no_object_is_refused(bad):
    """Only JSON objects are messages."""
    with pytest.raises(BadFrame):
        decode(bad)


def test_a_frame_cut_short_is_the_end():
    """The writer died in the middle."""
    assert read_frame(io.BytesIO(encode({"a": 1})[:-1])) is None
