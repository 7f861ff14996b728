"""Workload files: problems with weights, as foreign text."""

import json

import pytest
from kerntune.spaces.errors import UsageError
from kerntune.tuner.workload_file import MOST_BYTES, MOST_ENTRIES, of_values, read

ENTRY = {"op": "gemm", "shape": "64x32x16", "dtype": "fp32", "weight": 3}


def told(tmp_path, text):
    path = tmp_path / "model.jsonl"
    path.write_text(text)
    return read(path, "cpu")


def test_a_list_and_lines_hold_the_same(tmp_path):
    """JSON or JSONL, blank lines or none."""
    entries = [ENTRY, {**ENTRY, "shape": "8x8x8", "weight": 0.5}]
    lines = "\n\n".join(json.dumps(entry) for entry in entries) + "\n"
    assert told(tmp_path, json.dumps(entries, indent=2)) == told(tmp_path, lines)
    assert [(one.problem["m"], one.weight) for one in told(tmp_path, lines)] == [(64, 3.0), (8, 0.5)]


def test_dims_by_name_and_defaults_are_the_same_problem_and_weights_add():
    """A problem stands once, where it was met first; a weight left out is 1."""
    (one,) = of_values([ENTRY, {"op": "gemm", "m": 64, "n": 32, "k": 16}], "cpu")
    assert one.weight == 4.0
    assert one.problem["layout"] == "nn"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({**ENTRY, "shape": "64x32"}, 'line 1: gemm needs 3 dims.*"shape"'),
        ({**ENTRY, "shape": 64}, '"shape" is 64: it is a text of MxNxK'),
        ({**ENTRY, "op": "gem"}, '"gem" is not an op.*Did you mean "gemm"'),
        ({**ENTRY, "op": 3}, '"op" is 3'),
        ({"problems": [ENTRY]}, '"op" is missing.*The object has ."problems"'),
        ({"op": "gemm"}, '"shape" is missing .or "m".: a text of MxNxK'),
        ({"op": "gemm", "m": 4, "k": 4}, '"shape" is missing .or "n".'),
        ({**ENTRY, "dtype": "fp\n32"}, r'"fp\\n32" holds control characters'),
        ({**ENTRY, "a\x1b[31m": 1}, "holds control characters"),
        ({**ENTRY, "dtyp": "fp32"}, '"dtyp" is not a field of gemm.*Did you mean "dtype"'),
        ({**ENTRY, "dtype": "x" * 10_000}, '"dtype" has a value that is too long'),
        ({**ENTRY, "m": 64}, 'both "shape" and "m"'),
        ({**ENTRY, "weight": 0}, '"weight" is 0: it says how often'),
        ({**ENTRY, "weight": "2"}, '"weight" is "2"'),
        ({**ENTRY, "weight": 1e300}, '"weight"'),
        ({**ENTRY, "batch": {"a": 1}}, "gemm.batch"),
        ([1], "a problem is an object, not .1."),
    ],
)
def test_what_is_off_is_said_with_line_field_and_how_to_mend(tmp_path, entry, words):
    """And an entry that is right."""
    with pytest.raises(UsageError, match=words) as caught:
        told(tmp_path, json.dumps(entry) if isinstance(entry, dict) else f"[{json.dumps(entry)}]")
    assert "An entry is such as" in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("text", ["", "[]", "{", "nan", '{"op": "gemm"', "[" * 100_000, '[{"op":1}', "\x00"])
def test_no_text_is_a_bug_of_ours(tmp_path, text):
    """Each is refused in words."""
    with pytest.raises(UsageError):
        told(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "model.jsonl is empty"),
        (f'{json.dumps(ENTRY)}\n\n{{"op": "gemm", "shape', r"line 3: no JSON \(Unterminated string.*, column 16\)"),
        ("[" * 100_000, "nested too deep"),
        ('{"op": "gemm", "shape": "8x8x8", "weight": 2, "weight": 3}', 'line 1: .*"weight" stands twice'),
    ],
)
def test_what_is_no_json_is_said_once_and_with_its_place(tmp_path, text, words):
    """Line of the file, column of the line."""
    with pytest.raises(UsageError, match=words) as caught:
        told(tmp_path, text)
    assert "line 1 column" not in str(caught.value)


def test_a_byte_order_mark_is_passed_over(tmp_path):
    """Before a list and before lines."""
    for text in (json.dumps(ENTRY), json.dumps([ENTRY], indent=1)):
        (one,) = told(tmp_path, f"\ufeff{text}")
        assert one.weight == 3.0


def test_several_mistakes_are_told_at_once():
    """So that they are mended at once; five at most."""
    with pytest.raises(UsageError, match=r"(?s)problem 1.*problem 3.*problem 6") as caught:
        of_values([{}, ENTRY, *[{}] * 9], "cpu")
    assert str(caught.value).count('"op" is missing') == 5


def test_a_file_is_bounded(tmp_path):
    """In bytes, and in problems."""
    with pytest.raises(UsageError, match="larger than 16 MiB"):
        told(tmp_path, " " * (MOST_BYTES + 1))
    with pytest.raises(UsageError, match="at most 10,000 problems"):
        of_values([ENTRY] * (MOST_ENTRIES + 1), "cpu")
    with pytest.raises(UsageError, match="No such file"):
        read(tmp_path / "none.json", "cpu")
