"""Op: one description, three faces."""

import numpy as np
import pytest
from kerntune.spaces.errors import ProblemError, ShapeError, UnknownName
from kerntune.templates.catalogue import op_named, ops

GEMM = op_named("gemm")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "4096x4096",
            r'gemm needs 3 dims \(MxNxK\), got 2 in "4096x4096" \(--shape\). Example: --shape 4096x4096x4096',
        ),
        ("4096", "got 1"),
        ("axbxc", 'm is "a"'),
        ("0x1x1", 'm is "0"'),
        ("1x-1x1", 'n is "-1"'),
        ("1x1x1e3", 'k is "1e3"'),
        ("1x1x99999999999999999999999", "an integer from 1 to 2,147,483,647"),
        ("1x1x٣", "k is"),
        ("", "got 1"),
    ],
)
def test_a_malformed_shape_says_what_where_and_how(text, says):
    """No shape is guessed."""
    with pytest.raises(ShapeError, match=says):
        GEMM.parse_shape(text)


def test_a_shape_is_read_by_letter():
    """× and X are read as x."""
    assert GEMM.parse_shape("12X34×56") == {"m": 12, "n": 34, "k": 56}


def test_defaults_follow_the_kind_of_device_and_other_fields():
    """fp32 on a CPU, bf16 on a GPU; out_dtype as dtype; sums of int8 in int32."""
    assert GEMM.problem("cpu", m=1, n=1, k=1)["dtype"] == "fp32"
    assert GEMM.problem("gpu", m=1, n=1, k=1)["out_dtype"] == "bf16"
    assert GEMM.problem("gpu", m=1, n=1, k=1, dtype="int8")["acc_dtype"] == "int32"
    assert GEMM.problem("gpu", m=1, n=1, k=1, dtype="fp8")["dtype"] == "fp8e4m3"


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ({"dtype": "fp31"}, UnknownName, '"fp31" is not a dtype of gemm.*Did you mean "fp32"'),
        ({"layout": "nx"}, UnknownName, "layout"),
        ({"dtpye": "fp32"}, UnknownName, 'Did you mean "dtype"'),
        ({"m": 0}, ProblemError, "gemm.m is 0"),
        ({"m": True}, ProblemError, "gemm.m is True"),
        ({"m": 2**31}, ProblemError, "from 1 to"),
        ({"batch": 0}, ProblemError, "gemm.batch is 0"),
    ],
)
def test_fields_that_are_off_are_refused(values, error, says):
    """A typo never silently gives another problem's config."""
    with pytest.raises(error, match=says):
        GEMM.problem("cpu", **({"m": 1, "n": 1, "k": 1} | values))


def test_the_problem_is_the_same_however_it_was_said():
    """Defaults named or left out: one problem, one key."""
    plain = GEMM.problem("cpu", m=3, n=4, k=5)
    named = GEMM.problem("gpu", k=5, m=3, n=4, dtype="fp32", layout="nn", batch=1)
    assert plain == named
    assert plain.digest == named.digest


def test_every_op_has_an_example_it_can_read():
    """Help texts and errors quote it."""
    for op in ops().values():
        assert op.problem("cpu", **op.parse_shape(op.example)).op == op.name


@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
@pytest.mark.parametrize("m", [40, 3000])
def test_a_right_product_passes_and_any_wrong_element_fails_the_evidence(layout, m, monkeypatch):
    """Also where only rows and projections of a large product are checked: Freivalds' vectors see every element."""
    from kerntune.templates.gemm import reference as gemm

    monkeypatch.setattr(gemm, "FULL_CHECK_FLOPS", 10**6)
    rng = np.random.default_rng(0)
    problem = GEMM.problem("cpu", m=m, n=50, k=60, layout=layout)
    arrays = {b.name: rng.standard_normal(b.shape, dtype=np.float32) for b in GEMM.buffers(problem)}
    a = arrays["a"].T if layout[0] == "t" else arrays["a"]
    b = arrays["b"].T if layout[1] == "t" else arrays["b"]
    arrays["c"] = a @ b
    tolerance = GEMM.tolerance(problem)
    assert (problem.dim("flops") > gemm.FULL_CHECK_FLOPS) == (m > 100)

    def excess() -> float:
        computed, expected = GEMM.evidence(problem, arrays, np, np.random.default_rng(1))
        return float((abs(computed - expected) - tolerance.rtol * abs(expected) - tolerance.atol).max())

    assert excess() <= 0
    arrays["c"][m // 2, 7] += np.float32(0.5 * problem.dim("k") ** 0.5)
    assert excess() > 0
