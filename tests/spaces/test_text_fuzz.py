"""Text from anywhere: constraints, lists and documents give a meaning or a UsageError, soon, and run nothing."""

import builtins
import contextlib
import json
import os
import time
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kerntune.spaces import from_t1
from kerntune.spaces.errors import SpaceError, UnknownName
from kerntune.spaces.grammar import parse
from kerntune.spaces.lists import read_values

TOKENS = [
    *("A", "B", "problem.m", "i", "x.y", "__import__('os').system('x')", "open('x')", "ﬁ", "é", "\0", "\ud800", "\\"),
    *("0", "1", "2", "64", "0.5", "1e999", "10**18", "9" * 30, "1j", "'a'", "b'a'", "f'{A}'", "'\\x00'", "'", '"'),
    *("+", "-", "*", "/", "//", "%", "**", "<", "<=", "==", "!=", "&", "|", "~", "^", ":=", "=", ",", ":", ".", "@"),
    *(
        " and ",
        " or ",
        " not ",
        " in ",
        " is ",
        " if ",
        " else ",
        " for ",
        "lambda ",
        "await ",
        "yield ",
        "None",
        "True",
    ),
    *("(", ")", "[", "]", "{", "}", "min(", "max(", "abs(", "ceil_div(", "position(", "in_(", "where(", "range("),
    *("list(", "sorted(", "[i for i in range(", "#", "\n", "\t", " ", "😀", "…"),
]

texts = st.lists(st.sampled_from(TOKENS), max_size=30).map("".join) | st.text(max_size=60)

KEYS = [
    *("General", "BenchmarkName", "ConfigurationSpace", "TuningParameters", "Conditions", "Name", "Type", "Values"),
    *("Default", "Expression", "Parameters", "When", "Reason", "A", "KernelSpecification", "KernelName"),
]
names = st.sampled_from(KEYS)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts | names | st.sampled_from(["int", "[1, 2]"])
json_like = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4))
parameters = st.fixed_dictionaries(
    {"Name": st.sampled_from(["A", "B", "ﬁ"]) | texts, "Type": st.sampled_from(["int", "float", "string"]) | json_like},
    optional={"Values": st.just("[1, 2]") | texts | json_like, "Default": json_like},
)
conditions = st.fixed_dictionaries(
    {"Expression": texts | json_like},
    optional={"When": st.dictionaries(names, texts, max_size=2) | json_like, "Reason": json_like},
)
documents = json_like | st.fixed_dictionaries(
    {
        "ConfigurationSpace": st.fixed_dictionaries(
            {"TuningParameters": st.lists(parameters | json_like, max_size=3)},
            optional={"Conditions": st.lists(conditions, max_size=3)},
        )
    },
    optional={"General": json_like, "KernelSpecification": json_like},
)


def ran(*_: object, **__: object) -> None:
    """Stands for what a text could call to do harm: an error that is none of ours."""
    raise AssertionError("a text was run")


@contextlib.contextmanager
def a_second_and_our_errors_only():
    """No other error comes out, no text takes long, and none is run."""
    with contextlib.ExitStack() as patched:
        for home, name in ((os, "system"), (builtins, "eval"), (builtins, "exec"), (builtins, "open")):
            patched.enter_context(mock.patch.object(home, name, ran))
        started = time.perf_counter()
        with contextlib.suppress(SpaceError, UnknownName):
            yield
        took_s = time.perf_counter() - started
    assert took_s < 1


fuzz = settings(max_examples=400, deadline=None)


@fuzz
@given(text=texts)
def test_a_constraint_is_read_or_refused(text):
    """And what is read has a value or says why not."""
    with a_second_and_our_errors_only():
        parse(text, ("A", "B", "ﬁ")).value({"A": 3, "B": 0, "ﬁ": "a", "problem.m": 2})


@fuzz
@given(text=texts)
def test_a_list_is_read_or_refused(text):
    """In brackets and bare."""
    for form in (text, f"[{text}]"):
        with a_second_and_our_errors_only():
            assert isinstance(read_values(form), tuple)


@fuzz
@given(document=documents)
def test_a_document_is_read_or_refused(document):
    """As what JSON holds, and as its text."""
    with a_second_and_our_errors_only():
        from_t1(document)
    with a_second_and_our_errors_only():
        from_t1(json.dumps(document))


@pytest.mark.parametrize(
    "part", ["-", "(", "[", "{", "not ", "A+", "A**", "A if A else ", "lambda:", "A<", "A or ", "f("]
)
@pytest.mark.parametrize("times", [100, 5_000, 60_000])
def test_a_text_of_one_part_again_and_again_is_read_or_refused(part, times):
    """Deep nesting meets a limit of ours, not the interpreter's."""
    for end in ("", "A", "A" + ")" * times):
        with a_second_and_our_errors_only():
            parse(part * times + end, ("A",))
        with a_second_and_our_errors_only():
            read_values(part * times + end)


def test_values_that_are_costly_to_make_are_refused_or_quick():
    """Close to the limit of values from above and below."""
    for text in (
        "list(range(10**6))",
        "[i*2+1 for i in range(10**6) if i % 2]",
        "range(10**18)",
        "[i**64 for i in [10**9]]",
    ):
        with a_second_and_our_errors_only():
            read_values(text)
