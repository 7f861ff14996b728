"""Metrics: what this process has answered, and how much is kept."""

from __future__ import annotations

import asyncio

import anyio
import anyio.to_thread
from fastapi import APIRouter, Response

from ...cache.counts import Counting, Counts
from ...spaces.errors import StoreError
from ..hot import HotAnswers
from ..metrics import MEDIA_TYPE, Metrics

TIMEOUT_S = 2.0
"""A scrape waits so long for the database; beyond that, it is down."""


def router(metrics: Metrics, hot: HotAnswers | None, counting: Counting | None) -> APIRouter:
    """`GET /metrics`."""
    made = APIRouter(tags=["health"])
    threads = anyio.CapacityLimiter(1)

    async def counted() -> Counts | None:
        if counting is None:
            return None
        try:
            counts = anyio.to_thread.run_sync(counting.counts, limiter=threads, abandon_on_cancel=True)
            return await asyncio.wait_for(counts, TIMEOUT_S)
        except (StoreError, TimeoutError):
            return None

    @made.get(
        "/metrics",
        operation_id="read_metrics",
        summary="Counters of this process and gauges of the database, in Prometheus' text format",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def read_metrics() -> Response:
        return Response(metrics.text(hot, await counted(), counting is not None), media_type=MEDIA_TYPE)

    return made
