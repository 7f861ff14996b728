"""Identity from named fields: one text for one meaning, and its digest."""

import hashlib
import json
from typing import Any

DIGEST_CHARS = 32
"""Hex characters of a digest: 128 bits of SHA-256, so that two of a billion values collide with odds of 1e-21."""


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text.

    Raises: TypeError for what JSON cannot say, ValueError for NaN and infinities.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: Any) -> str:
    """First 128 bits of SHA-256 over the canonical JSON of `value`, as hex."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:DIGEST_CHARS]
