"""Keys, measurements and baselines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import a_key, a_problem, a_record
from kerntune.cache.records import Baseline, Failure, Measurement, Policy, Verdict


def test_key_differs_when_the_driver_differs():
    """A time measured under another driver is not this device's time."""
    assert a_key(driver="550.54") != a_key(driver="560.28")
    assert a_key(driver="550.54").digest != a_key(driver="560.28").digest


def test_key_differs_when_the_policy_differs():
    """A time from a warm cache answers no question about a cold one."""
    assert a_key(policy=Policy("warm", "graph")).digest != a_key(policy=Policy("cold", "graph")).digest


def test_key_is_the_same_whatever_the_order_of_the_problems_fields():
    """Identity is by named fields, and facts are none."""
    problem = a_problem()
    turned = type(problem)(problem.op, problem.fields[::-1], (("flops", 1),))
    assert a_key(turned) == a_key(problem)
    assert a_key(turned).digest == a_key(problem).digest
    assert hash(a_key(turned)) == hash(a_key(problem))


def test_key_fields_name_problem_target_and_policy():
    """Every identity field is there to be read."""
    fields = a_key().fields()
    assert (fields["op"], fields["m"], fields["sm_count"], fields["triton"]) == ("gemm", 256, 132, "3.6.0")
    assert (fields["policy_cache"], fields["policy_launch"]) == ("cold", "graph")


def test_key_explains_its_miss_field_by_field():
    """Problem first, then device, toolchain, policy; what is here, and what is stored."""
    here = a_key(driver="550.54")
    stored = a_key(a_problem(m=512), Policy("warm", "graph"), driver="560.28", sm_count=114)
    assert here.explain_difference(stored) == [
        "m: 256 here, 512 stored",
        "sm_count: 132 here, 114 stored",
        "driver: 550.54 here, 560.28 stored",
        "policy cache: cold here, warm stored",
    ]


def test_key_has_nothing_to_explain_about_a_hit():
    """The same key, made twice."""
    assert a_key().explain_difference(a_key()) == []


def test_measurement_is_told_by_its_median_and_half_its_interquartile_range():
    """One outlier moves neither."""
    measurement = Measurement((10.0, 11.0, 12.0, 13.0, 1000.0))
    assert measurement.median_us == 12.0
    assert measurement.spread_us == 1.0


def test_a_single_sample_has_no_spread():
    """Half of one sample lies nowhere."""
    assert Measurement((7.0,)).spread_us == 0.0


@pytest.mark.parametrize("samples", [(), (0.0,), (-1.0,), (1.0, float("nan")), (float("inf"),)])
def test_a_measurement_holds_positive_finite_samples(samples):
    """What did not happen is a Failure, not a time."""
    with pytest.raises(ValueError, match="µs"):
        Measurement(samples)


def test_a_failure_has_no_measurement():
    """A record is a time or a failure, never both."""
    assert a_record(failure=Failure("compile", "x")).measurement is None
    assert a_record(us=3.0).measurement == Measurement((3.0,))


def test_a_record_is_ranked_by_its_median_unless_a_playoff_decided_otherwise():
    """Failures and configs that were raced out have no rank at all."""
    record = a_record(us=(2.0, 3.0, 9.0))
    assert record.ranked_us == 3.0
    assert replace(record, verdict=Verdict(2.9, confidence=0.9, rounds=3)).ranked_us == 2.9
    assert replace(record, outcome=Measurement((3.0,), raced_out=True)).ranked_us is None
    assert a_record(failure=Failure("compile", "x")).ranked_us is None


def test_a_measurement_with_readings_can_be_kept_in_a_set():
    """The memory store does; readings tell equal measurements apart and are no part of the hash."""
    busy, quiet = Measurement((1.0,), readings={"load": 2.0}), Measurement((1.0,))
    assert len({busy, quiet, Measurement((1.0,), readings={"load": 2.0})}) == 2


def test_baseline_is_told_by_its_median():
    """Compared with ours like with like."""
    assert Baseline("cublas", (3.0, 1.0, 2.0)).median_us == 2.0


@pytest.mark.parametrize(("kind", "launch"), [("cpu", "eager"), ("gpu", "graph")])
def test_default_policy_follows_the_device(kind, launch):
    """A processor has no graphs."""
    assert Policy.default_for(kind) == Policy("cold", launch)
