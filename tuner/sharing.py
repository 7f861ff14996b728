"""Sharing: a study on this machine that a server takes part in, as a worker's does, but asked for here."""

from __future__ import annotations

import warnings
from contextlib import ExitStack, closing

from ..spaces.errors import UsageError
from ..templates.catalogue import templates_named
from . import settings, tuning, wiring
from .hosts import Host
from .worker.news import News, Tell
from .worker.office import opened_office

FLUSH_S = 10.0
"""How long the last records may take to reach the server, after the study."""


def run(
    request: tuning.Request, server_url: str, watch: tuning.Watch, tell: Tell, host: Host | None = None
) -> tuning.Report:
    """Answer a request from what this machine and the server know of it, or by a study whose records both keep.

    A server that is away holds nothing up: its records lie on disk, and the next run for that server, or `tune worker`,
    sends them. Raises: as `tuning.run`, and UsageError for an address that is none.
    """
    config = settings.read()
    with ExitStack() as opened:
        host = host or opened.enter_context(closing(wiring.open_host(request.device, config)))
        templates = templates_named(request.op, request.templates)
        key, _ = tuning.task_of(request.op, request.fields, templates, request.policy, host)
        office = opened.enter_context(opened_office(config, server_url, request.db_url, tell))
        office.sender.start()
        try:
            return tuning.run(request, watch, host, office.store_for(key), office.studies)
        finally:
            if not office.sender.drain(FLUSH_S, lambda: office.outage.is_on):
                tell(News("stopped", None, {"waiting": office.sender.waiting}))
            try:
                office.sender.check()
            except UsageError as error:  # a key that is not taken: the study is done all the same, and kept here
                tell(News("warning", None, {"reason": str(error)}))


def words_of(news: News) -> str:
    """What happened, for a person."""
    waiting, reason = news.data.get("waiting"), news.data.get("reason")
    if news.kind == "stopped":
        return f"{waiting:,} records wait on disk: the next `tune … --server` or `tune worker` sends them."
    if news.kind == "refused":
        return f"a record is not taken: {reason}"
    return str(reason)


def is_trouble(news: News) -> bool:
    """Whether a person wants to hear it."""
    return news.kind in ("warning", "refused", "waiting", "stopped")


def warn(news: News) -> None:
    """Tell of trouble with the server as a RuntimeWarning."""
    if is_trouble(news):
        warnings.warn(f"kerntune: {words_of(news)}", RuntimeWarning, stacklevel=2)
