"""MemoryStudies: the port in a dict."""

from __future__ import annotations

from threading import Lock

from .records import RecordKey
from .studies import StudyLog


class MemoryStudies:
    """What searches cost, for as long as the process lives. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._studies: dict[StudyLog, None] = {}  # an ordered set

    def add_study(self, study: StudyLog) -> None:
        kept = study.at_the_door()
        with self._lock:
            self._studies.setdefault(kept)

    def studies(self, key: RecordKey) -> list[StudyLog]:
        with self._lock:
            of_key = [study for study in self._studies if study.key == key]
        return sorted(of_key, key=lambda study: study.started_at)

    def close(self) -> None:
        """Nothing to let go of: they stay."""
