"""What is known, of every problem: one answer each."""

from dataclasses import replace

from builders import A_TEMPLATE, a_key, a_problem, a_record, a_target, a_winner
from kerntune.cache.memory import MemoryStore
from kerntune.cache.records import Failure
from kerntune.spaces.config import Config
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.listing import Filter, listed_answers

(TILED,) = templates_named("gemm", ["triton_tiled"])
CONFIG = Config({"BLOCK_M": 64})


def problem(m, n, k, **fields):
    return op_named("gemm").problem("gpu", m=m, n=n, k=k, **fields)


def filled(*records):
    store = MemoryStore()
    for record in records:
        store.add(record)
    return store


def shapes(answers):
    return [tuple(answer.problem[letter] for letter in "mnk") for answer in answers]


def test_each_key_has_one_answer_the_best():
    """Of all templates and configs; a failure is none."""
    of = problem(64, 64, 64)
    slow, fast = (
        a_winner(of, 9.0, TILED, CONFIG, a_target()),
        a_winner(of, 5.0, TILED, Config({"BLOCK_M": 32}), a_target()),
    )
    store = filled(slow, fast, a_record(a_key(a_problem(m=1)), failure=Failure("launch", "no")))
    (answer,) = listed_answers(store)
    assert (answer.median_us, answer.match, answer.config) == (5.0, "exact", fast.config)


def test_answers_go_by_device_words_and_dims():
    """Dims as numbers: 64 before 128, though not as text."""
    places = [a_target(), a_target("cpu")]
    known = [
        a_winner(problem(m, 8, 8, dtype="fp32"), 1.0, TILED, CONFIG, place) for m in (128, 64, 1000) for place in places
    ]
    answers = listed_answers(filled(*known, a_winner(problem(8, 8, 8), 1.0, TILED, CONFIG, places[0])))
    assert [answer.target.name for answer in answers] == ["GPU X"] * 4 + ["Model T"] * 3
    assert shapes(answers) == [(8, 8, 8), (64, 8, 8), (128, 8, 8), (1000, 8, 8), (64, 8, 8), (128, 8, 8), (1000, 8, 8)]


def test_a_filter_narrows_by_device_dtype_and_template():
    """A part of a device's name will do, in any case."""
    gpu = a_winner(problem(8, 8, 8), 1.0, TILED, CONFIG, a_target())
    cpu = a_winner(problem(16, 8, 8, dtype="fp32"), 1.0, TILED, CONFIG, a_target("cpu"))
    store = filled(gpu, cpu)
    assert shapes(listed_answers(store, Filter(device="gpu x"))) == [(8, 8, 8)]
    assert shapes(listed_answers(store, Filter(dtype="fp32"))) == [(16, 8, 8)]
    assert shapes(listed_answers(store, Filter(ops=("gemm",), template="triton_tiled"))) == [(8, 8, 8), (16, 8, 8)]
    assert listed_answers(store, Filter(template="cuda_simt")) == []


def test_a_time_of_an_edited_template_is_stale_and_one_not_known_here_is_taken_at_its_word():
    """The difference names both digests."""
    edited = a_winner(problem(8, 8, 8), 1.0, TILED, CONFIG, a_target())
    edited = replace(edited, template_digest=A_TEMPLATE)
    stranger = a_record(a_key(problem(16, 8, 8)))
    one, other = listed_answers(filled(edited, stranger))
    assert (one.match, one.differences) == (
        "stale",
        (f"template triton_tiled: {TILED.digest[:8]} here, aaaaaaaa stored",),
    )
    assert (other.match, other.template) == ("exact", "gemm_tiled")
