"""The words of a job: what a server keeps, a worker reads; nothing that is off gets through."""

import json

import pytest
from kerntune.spaces.errors import UsageError
from kerntune.tuner.job_words import JobWords, Wish

WISH = Wish(trials=7, time_s=2.5, sampler="tpe", seed=3, force=True, templates=("c_tiled", "triton_tma"))
WORDS = JobWords("gemm", {"m": 64, "layout": "nt"}, "gpu", "warm", target="ab" * 16, wish=WISH)


@pytest.mark.parametrize("words", [WORDS, JobWords("gemm", {}, "cpu", "cold", device="Model T")])
def test_words_survive_their_json(words):
    """Each of them, and nothing else."""
    assert JobWords.from_json(json.loads(json.dumps(words.to_json()))) == words


def test_keys_of_a_newer_server_are_passed_over():
    """A worker may be older than its server."""
    assert JobWords.from_json(WORDS.to_json() | {"mood": "good"}) == WORDS


@pytest.mark.parametrize("name", sorted(set(WORDS.to_json()) - {"device"}))
def test_a_word_that_is_missing_is_named(name):
    """No default is guessed by a worker: the server has said each."""
    data = WORDS.to_json()
    del data[name]
    with pytest.raises(UsageError, match=r"job\.|a job names a device or a target"):
        JobWords.from_json(data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"device": "GPU X"}, "one of the two"),
        ({"target": None}, "one of the two"),
        ({"op": "gemm\n"}, "job.op"),
        ({"op": 3}, "job.op"),
        ({"kind": "tpu"}, "job.kind"),
        ({"policy": "hot"}, "job.policy"),
        ({"fields": []}, "job.fields"),
        ({"fields": {"m": 1.5}}, "job.fields.m"),
        ({"fields": {"m": 2**63}}, "job.fields.m"),
        ({"fields": {"m": [1]}}, "job.fields.m"),
        ({"fields": {"layout": "n" * 1000}}, "job.fields.layout"),
        ({"fields": {f"f{n}": 1 for n in range(65)}}, "64 are allowed"),
        ({"trials": 0}, "job.trials"),
        ({"trials": True}, "job.trials"),
        ({"trials": 100_001}, "job.trials"),
        ({"time_s": 0}, "job.time_s"),
        ({"time_s": float("nan")}, "job.time_s"),
        ({"time_s": 1e9}, "job.time_s"),
        ({"seed": -1}, "job.seed"),
        ({"seed": 2**63}, "job.seed"),
        ({"force": 1}, "job.force"),
        ({"templates": "c_tiled"}, "job.templates"),
        ({"templates": ["\x1b[2J"]}, "job.templates"),
        ({"templates": ["c_tiled"] * 33}, "32 are allowed"),
    ],
)
def test_a_word_that_is_off_is_refused_by_name(change, said):
    """They come from a server, and are data."""
    with pytest.raises(UsageError, match=said):
        JobWords.from_json(WORDS.to_json() | change)


def test_a_wish_says_no_more_than_its_own_words():
    """As the server reads them from a body, where nothing stands around them."""
    with pytest.raises(UsageError, match=r"^trials is 0"):
        Wish.from_json({**WORDS.to_json(), "trials": 0})
