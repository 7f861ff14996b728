"""Finalists: which configs of a search meet in its playoff. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..cache.records import Record
from .lanes import Lane

FINALISTS = 6
"""Configs that meet in the playoff, beside the default and the vendor library: the search's own order is off by up to
10 % where a GPU runs into its power limit (docs/measured_facts.md)."""


def finalists(records: Sequence[Record], lanes: Sequence[Lane]) -> list[Record]:
    """The fastest configs, and where they ran, the default of the fastest one's template and the incumbents.

    A config raced out is none, but as such a default or incumbent, or where nothing else is left. At least one ran.
    """
    ranked = sorted((record for record in records if record.measurement), key=rank)
    known = [record for record in ranked if record.ranked_us is not None] or ranked
    by_template = {lane.template.digest: lane for lane in lanes}
    always = {(digest, lane.incumbent) for digest, lane in by_template.items()}
    always.add((ranked[0].template_digest, by_template[ranked[0].template_digest].default))
    met = known[:FINALISTS]
    return met + [r for r in ranked if r not in met and (r.template_digest, r.config) in always]


def rank(record: Record) -> tuple[bool, float, str]:
    """Fully measured before raced out, faster first; ties by digest, so that the same data give the same order."""
    measurement = record.measurement
    us = float("inf") if measurement is None else measurement.median_us
    return (record.ranked_us is None, us, record.config.digest)
