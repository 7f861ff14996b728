"""What a call of ops.gemm asks for, read from views of its arrays."""

import pytest
from kerntune.spaces.errors import ProblemError, ShapeError, UnknownName
from kerntune.tuner.ops.arrays import View
from kerntune.tuner.ops.request import Words, read


def a_view(name, shape, dtype="bf16", strides=None, device="cuda:0", address=0x1000):
    if strides is None:
        strides, step = [], 1
        for size in reversed(shape):
            strides.insert(0, step)
            step *= size
    return View(name, tuple(shape), tuple(strides), dtype, device, address)


def request(a=(64, 32), b=(32, 48), words=None, **others):
    """Of dense arrays of these shapes, or of views."""
    named = {"a": a, "b": b, **others}
    views = {n: v if isinstance(v, View) else a_view(n, v) for n, v in named.items()}
    return read(views, Words(**(words or {})))


def test_dims_follow_from_shapes_and_letters():
    """As BLAS has them."""
    for layout, a, b in [
        ("nn", (5, 7), (7, 3)),
        ("nt", (5, 7), (3, 7)),
        ("tn", (7, 5), (7, 3)),
        ("tt", (7, 5), (3, 7)),
    ]:
        asked = request(a, b, {"layout": layout})
        assert [asked.problem[name] for name in ("m", "n", "k", "batch", "layout")] == [5, 3, 7, 1, layout]
        assert (asked.outputs[0].shape, asked.uneven, asked.turned) == ((5, 3), (), ())


def test_a_transposed_view_is_the_other_letter():
    """The memory is what a kernel reads; the caller's letters stay what the vendor reads."""
    asked = request(b=a_view("b", (32, 48), strides=(1, 32)))
    assert (asked.problem["layout"], asked.turned, asked.uneven) == ("nt", ("b",), ())
    batched = request(a_view("a", (4, 64, 32), strides=(2048, 1, 64)), (4, 32, 48), {"layout": "nn"})
    assert (batched.problem["layout"], batched.problem["batch"], batched.outputs[0].shape) == ("tn", 4, (4, 64, 48))


def test_strides_of_dims_of_one_say_nothing():
    """torch gives them any."""
    asked = request(a_view("a", (1, 32), strides=(7, 1)))
    assert (asked.problem["layout"], asked.uneven) == ("nn", ())


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("a", a_view("a", (64, 32), strides=(40, 1))),  # rows of a wider matrix
        ("a", a_view("a", (64, 32), strides=(64, 2))),
        ("b", a_view("b", (32, 48), address=0x1002)),
        ("out", a_view("out", (64, 48), strides=(1, 64))),
    ],
)
def test_what_no_kernel_takes_as_it_lies_is_uneven(name, view):
    """With what copying it moves: it is read and written."""
    asked = request(**{name: view})
    assert asked.uneven == (name,)
    assert asked.moved_bytes == 2 * view.bytes


def test_a_processors_kernel_takes_any_address_of_an_element():
    """Its loads are unaligned anyway."""
    on_cpu = [a_view(name, (8, 8), "fp32", device="cpu", address=0x1004) for name in "ab"]
    assert request(*on_cpu).uneven == ()


def test_dtypes_follow_from_the_arrays_and_from_out():
    """tf32 is a way to multiply fp32; what bits mean is said."""
    fp32 = [a_view(name, (8, 8), "fp32") for name in "ab"]
    asked = request(*fp32, {"dtype": "tf32x3"})
    assert (asked.problem["dtype"], asked.problem["out_dtype"]) == ("tf32x3", "fp32")
    assert request(out=a_view("out", (64, 48), "fp32")).problem["out_dtype"] == "fp32"
    bits = [a_view(name, (8, 8), "uint8") for name in "ab"]
    assert request(*bits, {"dtype": "fp8"}).problem["dtype"] == "fp8e4m3"
    bytes_ = [a_view(name, (8, 8), "int8") for name in "ab"]
    assert request(*bytes_).problem["out_dtype"] == "int32"


def test_what_an_epilogue_reads_has_the_dtype_of_c():
    """bf16 where C is of 8 bits; a column of scales is welcome."""
    words = {"epilogue": "bias+gelu+residual", "scales": "row"}
    fp8 = [a_view("a", (64, 32), "fp8e4m3"), a_view("b", (32, 48), "fp8e4m3")]
    scales = {"a_scale": a_view("a_scale", (64, 1), "fp32"), "b_scale": a_view("b_scale", (1, 48), "fp32")}
    asked = request(*fp8, words, **scales, bias=(48,), residual=(64, 48))
    assert (asked.problem["epilogue"], asked.problem["scales"]) == ("bias+gelu+residual", "row")


@pytest.mark.parametrize("shapes", [((0, 7), (7, 3)), ((5, 0), (0, 3)), ((5, 7), (7, 0)), ((0, 5, 7), (0, 7, 3))])
def test_a_dim_of_nothing_is_an_empty_product(shapes):
    """Which no kernel is made for."""
    asked = request(*shapes)
    assert asked.empty
    assert asked.outputs[0].shape[-2:] == (shapes[0][-2], shapes[1][-1])


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"b": (48, 32)}, ShapeError, r"b \[48, 32\] as K x N = 48 x 32: the two K differ. Is it layout=nt\?"),
        ({"a": (32,)}, ShapeError, r"a is \[32\] and b \[32, 48\]: both are matrices"),
        ({"a": (2, 64, 32)}, ShapeError, r"make one matrix: a\.reshape\(-1, k\)"),
        ({"a": (2, 64, 32), "b": (3, 32, 48)}, ShapeError, "a is a batch of 2 and b of 3"),
        ({"words": {"layout": "xy"}}, UnknownName, '"xy" is not a layout of gemm. Known: nn, nt, tn, tt'),
        ({"words": {"epilogue": "bais"}}, UnknownName, 'Did you mean "bias"'),
        ({"b": a_view("b", (32, 48), "fp16")}, ProblemError, "a is bf16 and b fp16. Convert one"),
        ({"b": a_view("b", (32, 48), device="cpu")}, ProblemError, "a is on cuda:0 and b on cpu. Move one"),
        ({"words": {"dtype": "tf32"}}, ProblemError, "dtype=tf32, and a and b are bf16, which it multiplies as bf16"),
        ({"bias": (48,)}, ProblemError, "bias is given, and epilogue=none, scales=none does not read it"),
        ({"words": {"epilogue": "bias"}}, ProblemError, "reads bias, which is not given: pass bias="),
        ({"words": {"epilogue": "bias"}, "bias": (64,)}, ShapeError, r"bias is \[64\], and is to be \[48\]"),
        (
            {"words": {"epilogue": "bias"}, "bias": a_view("bias", (48,), "fp32")},
            ProblemError,
            "bias is fp32, and is to be bf16 here: convert it",
        ),
        ({"out": (48, 64)}, ShapeError, r"out is \[48, 64\], and is to be \[64, 48\]"),
        ({"out": (64, 48), "words": {"out_dtype": "fp32"}}, ProblemError, "out is bf16, and is to be fp32"),
        ({"a": a_view("a", (64, 32), "float64"), "b": a_view("b", (32, 48), "float64")}, ProblemError, "are float64"),
        (
            {"a": a_view("a", (64, 32), "uint16"), "b": a_view("b", (32, 48), "uint16")},
            ProblemError,
            "say what the bits are by dtype=bf16",
        ),
    ],
)
def test_what_does_not_go_together_is_told(changes, error, said):
    """What, where, and how to mend it."""
    with pytest.raises(error, match=said):
        request(**changes)
