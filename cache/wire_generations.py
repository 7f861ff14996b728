"""The JSON of generations, used by the command line and the server alike."""

from __future__ import annotations

from typing import Any

from .generations import Generation
from .records import Answer
from .wire import stamp_to_text


def generation_to_json(generation: Generation) -> dict[str, Any]:
    """A generation as plain JSON values, without its answers."""
    return {
        "number": generation.number,
        "digest": generation.digest,
        "created_at": stamp_to_text(generation.created_at),
        "created_by": generation.created_by,
        "note": generation.note,
        "answers": generation.answers,
    }


def side_to_json(answer: Answer | None) -> dict[str, Any] | None:
    """What an answer was on one side of a difference; null where there was none."""
    if answer is None:
        return None
    return {
        "template": answer.template,
        "config": dict(answer.config),
        "digest": answer.digest,
        "median_us": answer.median_us,
        "spread_us": answer.spread_us,
        "recorded_at": stamp_to_text(answer.recorded_at),
    }
