"""What a digest names, and two of them side by side."""

from dataclasses import replace

import pytest
from builders import a_key, a_problem, a_record, a_target, a_winner
from contracts.studies_contract import a_study_log
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_evidence import MemoryEvidence
from kerntune.cache.memory_studies import MemoryStudies
from kerntune.cache.records import Failure, Incident
from kerntune.spaces.config import Config
from kerntune.spaces.errors import NoAnswer, SpaceError, UnknownName, UsageError
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.differing import difference
from kerntune.tuner.showing import as_json, candidate_of, is_edited, shown


class Known:
    """A store with its evidence."""

    def __init__(self, *records):
        self.store, self.studies = MemoryStore(), MemoryStudies()
        self.evidence = MemoryEvidence(self.store)
        self.store.add_many(records)

    def show(self, digest):
        return shown(digest, self.evidence, self.store, self.studies)

    def diff(self, one, other):
        return difference(one, other, self.evidence, self.store)


def test_all_that_is_known_of_a_key_is_shown():
    """The best first, then the rest; its studies and troubles with it."""
    slow, failed = a_record(us=20.0, config={"X": 2}), a_record(config={"X": 3}, failure=Failure("compile", "no"))
    known = Known(slow, failed, a_record(us=(9.0, 10.0, 11.0)))
    known.studies.add_study(a_study_log())
    known.store.add_incident(a_key(), Incident("device lost", "gone"))
    told = known.show(a_key().digest[:6].upper())
    (one,) = told.keys
    assert (told.named, told.digest, one.records) == (
        "key",
        a_key().digest,
        [a_record(us=(9.0, 10.0, 11.0)), slow, failed],
    )
    assert (one.studies, [trouble.incident.kind for trouble in one.troubles]) == ([a_study_log()], ["device lost"])
    said = as_json(told)["keys"][0]
    assert said["records"][0]["measurement"]["samples_us"] == [9.0, 10.0, 11.0]
    assert known.show(said["records"][0]["digest"]).keys[0].records == one.records[:1]


def test_a_config_is_shown_wherever_it_ran_the_newest_place_first():
    """Only its own records."""
    other = a_key(a_problem(m=512))
    known = Known(a_record(), a_record(config={"X": 2}), a_record(other, minutes=5))
    told = known.show(a_record().config.digest)
    assert (told.named, [one.key for one in told.keys]) == ("config", [other, a_key()])
    assert [len(one.records) for one in told.keys] == [1, 1]


@pytest.mark.parametrize(("digest", "error"), [("zzzz", UsageError), ("abc", UsageError), ("0" * 32, NoAnswer)])
def test_a_digest_that_says_nothing_is_refused(digest, error):
    """Too short, no digest, or nobody's."""
    with pytest.raises(error):
        Known(a_record()).show(digest)


def test_digests_that_begin_alike_are_listed():
    """With what each is of."""
    known = Known(*(a_record(config={"X": number}) for number in range(2000)))
    heads = [Config({"X": number}).digest[:4] for number in range(2000)]
    twice = next(head for head in heads if heads.count(head) > 1)
    with pytest.raises(UsageError, match=rf'"{twice}" begins \d digests: config {twice}'):
        known.show(twice)


def a_tiled(**changes):
    (template,) = templates_named("gemm", ["c_tiled"])
    problem = op_named("gemm").problem("cpu", m=64, n=48, k=32)
    return replace(a_winner(problem, 10.0, template, None, a_target("cpu")), **changes)


def test_the_kernel_is_rendered_as_its_template_reads_now():
    """From a record that was read back, whose problem has no facts."""
    record = a_tiled()
    plain = replace(record, key=replace(record.key, problem=replace(record.key.problem, facts=())))
    assert "64x48x32" in candidate_of(plain).source
    assert (is_edited(plain), is_edited(a_tiled(template_digest="e" * 32))) == (False, True)
    assert is_edited(a_tiled(template="gone")) is None


def test_a_kernel_that_cannot_be_made_any_more_says_why():
    """No such template, or no such config in its space."""
    with pytest.raises(UnknownName, match='"gone" is not a template of gemm'):
        candidate_of(a_tiled(template="gone"))
    with pytest.raises(SpaceError):
        candidate_of(a_tiled(config=Config({"MR": 5000})))


def test_two_configs_are_compared_where_both_ran():
    """In the same key, though one of them ran elsewhere since; with the ratio of their times."""
    elsewhere = a_key(a_problem(m=512))
    one, two = {"M": 64, "N": 32}, {"M": 64, "N": 16, "K": 8}
    known = Known(*(a_record(config=c, us=us, phase="playoff") for c, us in ((one, 10.0), (two, 12.0))))
    known.store.add(a_record(elsewhere, one, 99.0, minutes=50))
    found = known.diff(Config(one).digest, Config(two).digest)
    assert found.config == {"N": (32, 16), "K": (None, 8)}
    assert (found.problem, found.target, found.template) == ({}, {}, {})
    assert (found.ratio, found.met) == (1.2, True)


def test_targets_are_compared_field_by_field():
    """Device and tools; nothing else has a side with a target."""
    known = Known(a_record(), a_record(a_key(driver="560.28", sm_count=114)))
    found = known.diff(a_target().digest, a_target(driver="560.28", sm_count=114).digest)
    assert found.target == {"sm_count": (132, 114), "driver": ("550.54", "560.28")}
    assert (found.ratio, found.one.record) == (None, None)
    with pytest.raises(UsageError, match="a target is compared with a target"):
        known.diff(a_target().digest, a_record().config.digest)


def test_times_of_other_problems_have_no_ratio():
    """Nor are times taken apart called one playoff."""
    other = a_key(a_problem(m=512))
    known = Known(a_record(), a_record(other, {"X": 1}), a_record(config={"X": 2}, minutes=60))
    found = known.diff(a_record().config.digest, Config({"X": 1}).digest)
    assert (found.problem, found.ratio) == ({"m": (256, 512)}, None)
    assert not known.diff(a_record().config.digest, Config({"X": 2}).digest).met
