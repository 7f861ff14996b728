"""Frames: how parent and child speak. Four bytes of length, then that much JSON; never pickle."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

MAX_FRAME_BYTES = 16 * 2**20
"""Longest message either side reads: 100,000 samples take 2 MB."""


class BadFrame(ValueError):
    """Bytes that are no frame: something wrote to the channel that should not have."""


def encode(message: dict[str, Any]) -> bytes:
    """A message as length-prefixed JSON."""
    body = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
    return len(body).to_bytes(4, "big") + body


def body_length(header: bytes) -> int:
    """Bytes of JSON that follow a header. Raises: BadFrame if it cannot be one."""
    length = int.from_bytes(header, "big")
    if length > MAX_FRAME_BYTES:
        raise BadFrame(f"a frame of {length:,} bytes is longer than {MAX_FRAME_BYTES:,}")
    return length


def decode(body: bytes) -> dict[str, Any]:
    """The message of a body. Raises: BadFrame."""
    try:
        message = json.loads(body)
    except ValueError:
        raise BadFrame("a frame holds no JSON") from None
    if not isinstance(message, dict):
        raise BadFrame("a frame holds no JSON object")
    return message


def read_frame(stream: BinaryIO) -> dict[str, Any] | None:
    """The next message of a blocking stream, or None at its end. Raises: BadFrame."""
    header = stream.read(4)
    if len(header) < 4:
        return None
    length = body_length(header)
    body = stream.read(length)
    return decode(body) if len(body) == length else None
