"""Which scope a request needs: one table of methods and paths. What it does not name needs admin."""

from __future__ import annotations

from ..cache.keys import Scope

Needed = frozenset[Scope]
"""One of these is enough."""

PUBLIC = frozenset({"/healthz", "/readyz"})
"""Asked by those who watch the process: no key."""

_READ: Needed = frozenset({"read"})
_SUBMIT: Needed = frozenset({"submit"})
_RECORD: Needed = frozenset({"record"})
_ADMIN: Needed = frozenset({"admin"})

TABLE: dict[tuple[str, str], Needed] = {
    ("GET", "/openapi.json"): _READ,
    ("GET", "/metrics"): _READ,
    ("GET", "/v1/configs/*"): _READ,
    ("POST", "/v1/lookup"): _READ,  # and submit, where its body says on_miss: the route looks at that
    ("GET", "/v1/records"): _READ,
    ("POST", "/v1/records"): _RECORD,
    ("POST", "/v1/incidents"): _RECORD,
    ("GET", "/v1/targets"): _READ,
    ("GET", "/v1/targets/*"): _READ,
    ("POST", "/v1/targets"): _RECORD | _SUBMIT,
    ("GET", "/v1/misses"): _READ,
    ("GET", "/v1/jobs"): _READ,
    ("POST", "/v1/jobs"): _SUBMIT,
    ("GET", "/v1/jobs/*"): _READ,
    ("DELETE", "/v1/jobs/*"): _SUBMIT,
    ("GET", "/v1/jobs/*/events"): _READ,
    ("POST", "/v1/jobs/claim"): _RECORD,
    ("POST", "/v1/jobs/*/heartbeat"): _RECORD,
    ("POST", "/v1/jobs/*/events"): _RECORD,
    ("POST", "/v1/jobs/*/finish"): _RECORD,
    ("GET", "/v1/generations"): _READ,
    ("POST", "/v1/generations"): _ADMIN,
    ("GET", "/v1/generations/*"): _READ,
    ("GET", "/v1/generations/*/diff/*"): _READ,
}
"""`*` stands for one part of a path; a path without one goes before those with."""

_SHAPES = [(method, shape.split("/"), needed) for (method, shape), needed in TABLE.items() if "*" in shape]


def named(method: str, path: str) -> Needed | None:
    """What the table says of a request; None where it does not name it."""
    asked = "GET" if method == "HEAD" else method
    exact = TABLE.get((asked, path))
    if exact is not None and "*" not in path:
        return exact
    parts = path.split("/")
    fitting = (needed for allowed, shape, needed in _SHAPES if allowed == asked and _fits(shape, parts))
    return next(fitting, None)


def needed(method: str, path: str) -> Needed:
    """The scopes of which a request needs one."""
    return named(method, path) or _ADMIN


def _fits(shape: list[str], parts: list[str]) -> bool:
    return len(shape) == len(parts) and all(
        part == wanted or (wanted == "*" and part != "") for wanted, part in zip(shape, parts, strict=True)
    )
