"""TensorMap: what of a buffer TMA can copy, said before any driver is asked."""

import json
from dataclasses import asdict, replace

import pytest
from kerntune.spaces.problems import DTYPE_BYTES
from kerntune.templates.template import Argument
from kerntune.templates.tensor_map import TRITON_DTYPES, TensorMap

MAP = TensorMap.row_major("a", "bf16", (131, 328), (128, 64), swizzle="128B")


def test_a_row_major_tensor_has_its_strides():
    """In bytes for the driver, in elements for Triton."""
    made = TensorMap.row_major("a", "fp32", (3, 5, 8), (1, 4, 8))
    assert made.strides_bytes == (160, 32)
    assert made.strides == (40, 8, 1)
    assert made.reach_bytes == 3 * 5 * 8 * 4


def test_rows_may_be_padded():
    """A copy in a workspace begins each row at a whole line; what lies between is no part of the tensor."""
    made = TensorMap.row_major("a_copy", "bf16", (7, 203), (64, 64), pitch_bytes=416)
    assert made.refusal is None
    assert made.strides_bytes == (416,)
    assert made.reach_bytes == 6 * 416 + 203 * 2


def test_a_vector_has_no_strides():
    """Rank one."""
    made = TensorMap.row_major("bias", "fp32", (1000,), (256,))
    assert made.refusal is None
    assert (made.strides_bytes, made.strides, made.reach_bytes) == ((), (1,), 4000)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"box": ()},  # Triton's, not compiled yet
        {"shape": (2**32, 2**32), "strides_bytes": (2**40 - 16,)},
        {"shape": (1, 1), "strides_bytes": (16,), "box": (1, 8)},
        {"box": (256, 8), "swizzle": "none"},
        {"box": (1, 256), "swizzle": "none"},
        {"box": (8, 16), "swizzle": "32B"},
        {"box": (8, 32), "swizzle": "64B"},
        {"l2_promotion": "256B", "fill": "nan"},
        {"shape": (2, 2, 2, 2, 8), "strides_bytes": (128, 64, 32, 16), "box": (1, 1, 1, 1, 8)},
    ],
)
def test_what_tma_takes_is_not_refused(changes):
    """Each rule at its limit."""
    assert replace(MAP, **changes).refusal is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shape": (), "strides_bytes": ()}, "rank 0: a tensor map has 1 to 5 dims"),
        ({"shape": (1,) * 6, "strides_bytes": (16,) * 5, "box": ()}, "rank 6: a tensor map has 1 to 5 dims"),
        ({"strides_bytes": ()}, "0 strides and 2 dims of a box for 2 dims"),
        ({"box": (64,)}, "1 strides and 1 dims of a box for 2 dims"),
        ({"shape": (0, 328)}, "a dim of 0 elements: 1 to 4,294,967,296 can be mapped"),
        ({"shape": (131, 2**32 + 1)}, "a dim of 4,294,967,297 elements"),
        ({"strides_bytes": (406,)}, "a stride of 406 bytes: it is a multiple of 16 below 1,099,511,627,776"),
        ({"strides_bytes": (2**40,)}, "a stride of 1,099,511,627,776 bytes"),
        ({"strides_bytes": (0,)}, "a stride of 0 bytes"),
        ({"box": (257, 64)}, "a box of [257, 64]: each dim is 1 to 256"),
        ({"box": (0, 64)}, "a box of [0, 64]: each dim is 1 to 256"),
        ({"box": (128, 7), "swizzle": "none"}, "a box with rows of 14 bytes: they are a multiple of 16"),
        ({"box": (64, 128)}, "a box with rows of 256 bytes > 128B, which the swizzle spans"),
        ({"box": (64, 64), "swizzle": "64B"}, "a box with rows of 128 bytes > 64B"),
        ({"dtype": "int8", "fill": "nan"}, "int8 filled with NaN"),
        ({"dtype": "fp8e4m3", "fill": "nan"}, "fp8e4m3 filled with NaN"),
    ],
)
def test_what_tma_does_not_take_is_refused_with_its_numbers(changes, said):
    """The rule and what broke it."""
    assert replace(MAP, **changes).refusal.startswith(said)


def test_every_broken_rule_is_said_at_once():
    """Nobody mends them one by one."""
    refusal = replace(MAP, shape=(0, 328), strides_bytes=(8,), box=(300, 64)).refusal
    assert refusal.count(";") == 2


def test_triton_is_told_the_block_in_its_own_words():
    """Which need not be the box: that is the compiler's to choose."""
    assert MAP.triton_type(128, 64) == "tensordesc<bf16[128, 64]>"
    assert replace(MAP, dtype="fp8e4m3").triton_type(2, 64, 256) == "tensordesc<fp8e4nv[2, 64, 256]>"
    assert TRITON_DTYPES.keys() == DTYPE_BYTES.keys()


def test_an_argument_goes_through_json():
    """To the child that launches it."""
    argument = Argument("a_desc", MAP.triton_type(128, 64), tensor=MAP)
    assert Argument.from_dict(json.loads(json.dumps(asdict(argument)))) == argument
    plain = Argument("n", "i32", 3)
    assert Argument.from_dict(json.loads(json.dumps(asdict(plain)))) == plain


def test_a_map_reads_as_one_line():
    """In the reason of a failure."""
    assert str(MAP) == (
        "bf16[131, 328], strides [656] bytes, box [128, 64], swizzle 128B, L2 128B, fill zeros"
    )  # fmt: skip
