"""Jobs made of queries: one key for one problem and place, and only what a worker could run."""

import pytest
from builders import a_target
from kerntune.cache.records import Policy, RecordKey
from kerntune.spaces.errors import NoFeasibleConfig, UnknownName, UsageError
from kerntune.templates.catalogue import op_named, templates
from kerntune.tuner.job_making import MOST_FLOP, key_digest, miss, new_job
from kerntune.tuner.job_words import JobWords, Wish
from kerntune.tuner.lookup import Query, Stated

GEMM = op_named("gemm")
GPU, CPU = a_target(), a_target("cpu")


def a_query(where=GPU, kind="gpu", policy="cold", **fields):
    problem = GEMM.problem(kind, **{"m": 64, "n": 128, "k": 256} | fields)
    return Query(problem, Policy.default_for(kind, policy), where)


def test_the_words_of_a_job_are_those_of_the_query_and_the_wish():
    """Every field is said, so that a worker leaves nothing to a default of its own."""
    wish = Wish(trials=9, templates=("triton_tiled",))
    words = JobWords.from_json(new_job(a_query(layout="nt", policy="warm"), wish, [GPU]).request)
    assert words == JobWords("gemm", words.fields, "gpu", "warm", target=GPU.digest, wish=wish)
    assert GEMM.problem("gpu", **words.fields) == a_query(layout="nt").problem


def test_the_key_of_a_target_is_that_of_its_records():
    """So what a job finds is what was asked for."""
    query = a_query()
    assert key_digest(query) == RecordKey(query.problem, GPU, query.policy).digest
    assert new_job(query, Wish(), [GPU]).key_digest == key_digest(query)


@pytest.mark.parametrize(
    "other",
    [
        a_query(m=65),
        a_query(policy="warm"),
        a_query(dtype="fp16"),
        a_query(a_target(driver="560.28")),
        a_query(Stated("GPU X")),
    ],
)
def test_another_problem_policy_or_place_is_another_job(other):
    """A device by name is another place than one of its targets."""
    assert key_digest(other) != key_digest(a_query())


@pytest.mark.parametrize("wish", [Wish(trials=9), Wish(sampler="tpe"), Wish(seed=5), Wish(force=True)])
def test_how_it_is_tuned_is_no_part_of_the_key(wish):
    """Who asks with other budgets gets the job that runs."""
    assert new_job(a_query(), wish, []).key_digest == new_job(a_query(), Wish(), []).key_digest


def test_what_is_said_of_the_tools_is_no_part_of_a_devices_key():
    """A job is run with the tools its worker has."""
    stated = Stated("GPU X", GPU.toolchain)
    assert key_digest(a_query(stated)) == key_digest(a_query(Stated("GPU X")))


@pytest.mark.parametrize(
    ("query", "targets", "place", "kind"),
    [
        (a_query(), [], GPU.digest, "gpu"),
        (a_query(Stated("GPU X")), [GPU], "GPU X", "gpu"),
        (a_query(Stated("Model T"), "cpu"), [GPU, CPU], "Model T", "cpu"),
        (a_query(Stated("gpu")), [], "gpu", "gpu"),
        (a_query(Stated("cpu"), "cpu"), [], "cpu", "cpu"),
    ],
)
def test_a_place_is_a_digest_a_device_or_any_of_a_kind(query, targets, place, kind):
    """Which a worker offers all three of."""
    new = new_job(query, Wish(), targets)
    assert (new.place, JobWords.from_json(new.request).kind) == (place, kind)


def test_the_backends_are_those_of_the_templates_that_can_compute_it():
    """A worker needs one of them."""
    assert new_job(a_query(), Wish(), []).backends == ("cuda", "triton")
    assert new_job(a_query(CPU, "cpu"), Wish(), []).backends == ("cpu",)
    assert new_job(a_query(), Wish(templates=("triton_tiled",)), []).backends == ("triton",)


def test_a_template_that_some_known_target_supports_is_enough():
    """Of a device by name, which target it will be is not known."""
    old = a_target(arch="sm_75")
    wish = Wish(templates=("cuda_wgmma",))
    assert new_job(a_query(Stated("GPU X")), wish, [old, GPU]).backends == ("cuda",)
    with pytest.raises(NoFeasibleConfig, match="cuda_wgmma: "):
        new_job(a_query(Stated("GPU X")), wish, [old])


def test_a_job_that_no_template_can_run_is_refused_with_every_reason():
    """Instead of waiting for a worker for ever."""
    with pytest.raises(NoFeasibleConfig) as refusal:
        new_job(a_query(CPU, "cpu", dtype="fp8"), Wish(), [])
    for template in templates("gemm"):
        assert f"{template.name}: " in str(refusal.value)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(sampler="bayes"), '"bayes" is not a sampler'),
        (Wish(templates=("nothing",)), '"nothing" is not a template'),
    ],
)
def test_names_nobody_knows_are_refused(wish, said):
    """With those that are known."""
    with pytest.raises(UnknownName, match=said):
        new_job(a_query(), wish, [])


@pytest.mark.parametrize(("fields", "wish"), [({"batch": 2**63}, Wish()), ({}, Wish(trials=0))])
def test_words_that_a_worker_would_not_take_make_no_job(fields, wish):
    """They would fail there, an hour later."""
    with pytest.raises(UsageError, match="it takes an integer"):
        new_job(a_query(**fields), wish, [])


def test_a_miss_says_what_it_costs():
    """Calls times work; a problem beyond all measure does not outweigh all others for ever."""
    plain = miss(a_query(), [GPU], count=3)
    assert (plain.key_digest, plain.op, plain.count) == (key_digest(a_query()), "gemm", 3)
    assert plain.gflop == 2 * 64 * 128 * 256 / 1e9
    assert JobWords.from_json(plain.request) == JobWords.from_json(new_job(a_query(), Wish(), [GPU]).request)
    assert miss(a_query(batch=10**100), [GPU]).gflop == MOST_FLOP / 1e9
