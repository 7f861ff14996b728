"""What every Evidence does. A test class of an implementation inherits EvidenceContract and gives its fixtures."""

from __future__ import annotations

from builders import a_key, a_problem, a_record
from kerntune.cache.evidence import Evidence
from kerntune.cache.records import Incident
from kerntune.cache.store import Store


class EvidenceContract:
    """The laws of the port. The subclass gives an empty `store` and its `evidence`."""

    def test_a_digest_names_what_it_is_of(self, store: Store, evidence: Evidence) -> None:
        """Config, problem, key and target, by any beginning; each once for each key."""
        other = a_key(a_problem(m=512))
        store.add_many([a_record(), a_record(phase="playoff"), a_record(other)])
        record, keys = a_record(), sorted([a_key(), other], key=lambda key: key.digest)
        for named, digest, of in (
            ("config", record.config.digest, keys),
            ("problem", a_key().problem.digest, [a_key()]),
            ("key", other.digest, [other]),
            ("target", other.target.digest, keys),
        ):
            found = evidence.matches(digest[:12])
            assert {(match.named, match.digest) for match in found} == {(named, digest)}
            assert [match.key for match in found] == of
        assert {match.named for match in evidence.matches("")} == {"config", "problem", "key", "target", "record"}

    def test_a_digest_that_nobody_knows_names_nothing(self, store: Store, evidence: Evidence) -> None:
        """Nor do signs that SQL has a meaning for."""
        store.add(a_record())
        assert [evidence.matches(prefix) for prefix in ("0123456789abcdef", "%", "_")] == [[], [], []]

    def test_troubles_of_a_key_come_oldest_first(self, store: Store, evidence: Evidence) -> None:
        """Cleaned, with their time; those of another key are its own."""
        for reason in ("first", "sec\x1bond"):
            store.add_incident(a_key(), Incident("device lost", reason))
        store.add_incident(a_key(driver="560"), Incident("disk full", "other"))
        found = evidence.troubles(a_key())
        assert [one.incident.reason for one in found] == ["first", "second"]
        assert found[0].at <= found[1].at

    def test_close_may_be_called_twice(self, evidence: Evidence) -> None:
        """Whoever cleans up need not ask who did before."""
        evidence.close()
        evidence.close()
