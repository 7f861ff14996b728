"""Health: whether the process lives, and whether it can answer."""

from __future__ import annotations

from fastapi import APIRouter

from ..schemas import HealthBody, refusal
from ..services import Services


def router(services: Services) -> APIRouter:
    """`GET /healthz` and `GET /readyz`."""
    made = APIRouter(tags=["health"])

    @made.get("/healthz", summary="The process lives")
    def healthz() -> HealthBody:
        return HealthBody(status="ok")

    @made.get("/readyz", summary="Lookups can be answered", responses={503: refusal("The store cannot be reached")})
    def readyz() -> HealthBody:
        services.ready()
        return HealthBody(status="ready")

    return made
