"""triton_splitk: K shared out among programs of one tile of C, for products whose tiles do not fill the chip.

REDUCE is how partial sums meet. `last`: in a workspace, where the program that arrives last at a tile adds them up: one
launch. `workspace`: there too, and a second kernel adds them up with the whole chip. Both add in a fixed order and give
the same bits at every call. `atomic`: added to a single array as they come, which is C itself where nothing is to be
done to the sums; else a second kernel finishes them and leaves zeros behind. fp32 sums differ in their last bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from ...spaces.parameters import choice, pow2
from ...spaces.problems import Problem
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ...spaces.targets import Gpu, Target
from ..limits import MOST_PARTIAL_BYTES, MOST_SPLIT_WAVES
from ..template import Argument, KernelTemplate, Launch
from ..tensor_map import TRITON_DTYPES
from .copies import triton_copies
from .launches import results, sizes, tiles_of, triton_options
from .operands import copies_bytes
from .refusals import sums_dtype
from .split_tiles import add_tiles, fewest_tiles, fitting_tiles, inputs, read, refusal, tile_seed
from .splitk_work import work

PARTS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 20, 22, 24, 32, 33, 44, 48, 64, 66, 96, 128)
"""Powers of two, and what fills 108, 132 or 148 multiprocessors with a few tiles."""

MOST_FOR_ONE = 8
"""Parts that a single program is guessed to add up as fast as a second kernel starts."""

CLEAR_BLOCK = 2048
"""Elements of C one block sets to zero."""


def _space() -> Space:
    s = Space("triton_splitk")
    tiles = add_tiles(s)
    parts, reduce = s.add(choice("PARTS", *PARTS, default=4), choice("REDUCE", "last", "workspace", "atomic"))
    s.require(parts <= tiles.turns, "each part is a turn of the loop over K at least")
    s.require(
        (parts * 2 <= tiles.turns) | (tiles.block_k <= 32) | (tiles.turns < 8),
        "parts of a single deep turn cost more to add up than to multiply",
    )
    s.require(
        tiles.count * parts <= target.sm_count * MOST_SPLIT_WAVES, "so many parts are not needed to fill the chip"
    )
    partial_bytes = tiles.count * tiles.block_m * tiles.block_n * parts * 4
    s.require((reduce == "atomic") | (partial_bytes <= MOST_PARTIAL_BYTES), "partial sums must stay near the L2 cache")
    plain = (problem.scales == "none") & (problem.epilogue == "none")
    as_summed = ((problem.out_dtype == "fp32") & (problem.dtype != "int8")) | (problem.out_dtype == "int32")
    finishing = s.derive("finishing", ~(plain & as_summed))  # whether sums that were added up are not C yet
    s.derive("CLEAR_BLOCK", CLEAR_BLOCK)
    reduce_block, reduce_warps = s.add(
        pow2("REDUCE_BLOCK", 256, 8192, default=1024),  # sums that are added up and finished at a time
        pow2("REDUCE_WARPS", 1, 8, default=4),
    )
    s.when((reduce != "atomic") | finishing, reduce_block)
    s.when((reduce == "workspace") | ((reduce == "atomic") & finishing), reduce_warps)
    s.require(reduce_block >= tiles.block_n, "whole rows of a tile are added up")
    s.require(reduce_block <= tiles.block_m * tiles.block_n, "no more than a tile is added up at a time")
    s.require((reduce != "last") | (reduce_block >= tiles.num_warps * 128), "every thread adds up 16 bytes")
    s.require((reduce != "last") | (reduce_block <= tiles.num_warps * 1024), "sums and loads must fit the registers")
    s.require(
        (reduce_block >= reduce_warps * 128) & (reduce_block <= reduce_warps * 1024),
        "a thread adds up 4 to 32 sums",
    )
    order, go = s.add(choice("ORDER", "m", "n"), choice("PARTS_GO", "apart", "together"))
    s.when((tiles.rows > 1) & (tiles.columns > 1), order)
    s.when(tiles.count > 1, go)
    return s


def _supports(problem: Problem, target: Target) -> str | None:
    reason = refusal(problem, target)
    if reason is not None:
        return reason
    assert isinstance(target.device, Gpu)
    tiles = fewest_tiles(problem)
    if 2 * tiles > target.device.sm_count * MOST_SPLIT_WAVES:
        return f"its {tiles:,} largest tiles fill {target.device.sm_count} multiprocessors without splitting K"
    return None


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    reduce, parts, finishing = values["REDUCE"], values["PARTS"], values["finishing"]
    tile_sums = values["BLOCK_M"] * values["BLOCK_N"]
    tiles = tiles_of(problem, values)
    partials = Argument("partials", f"*{TRITON_DTYPES[sums_dtype(problem)]}")
    taken, written, counted = inputs(problem, values), results(problem, "triton"), sizes(problem)
    options = triton_options(values)
    grid, before = (tiles * parts, 1, 1), triton_copies(*read(problem, values))
    workspace = copies_bytes(*read(problem, values))
    if reduce == "atomic" and not finishing:
        split = Launch("gemm_split", (*taken, *written, *counted), grid, options)
        return _in_place(problem, split, before, workspace)
    workspace["partials"] = tiles * tile_sums * 4 * (1 if reduce == "atomic" else parts)
    if reduce == "last":
        workspace["arrivals"] = tiles * 4
        arguments = (*taken, *written, partials, Argument("arrivals", "*i32"), *counted)
        return Launch("gemm_split", arguments, grid, options, before=before, workspace=workspace)
    split = Launch("gemm_split", (*taken, partials, *counted), grid, options)
    return Launch(
        "gemm_reduce",
        (*written, partials, *sizes(problem, "mn")),
        (tiles * tile_sums // values["REDUCE_BLOCK"], 1, 1),
        {"num_warps": values["REDUCE_WARPS"], "num_stages": 1},
        before=(*before, split),
        workspace=workspace,
    )


def _in_place(problem: Problem, split: Launch, before: tuple[Launch, ...], workspace: Mapping[str, int]) -> Launch:
    """The product that adds to C, after a kernel that sets it to zero."""
    count = problem.dim("m") * problem.dim("n")
    c = next(argument for argument in split.arguments if argument.name == "c")
    blocks = (-(-count // CLEAR_BLOCK), 1, 1)
    clear = Launch("clear", (c, Argument("COUNT", "i32", count)), blocks, {"num_warps": 4, "num_stages": 1})
    return Launch(split.entry, split.arguments, split.grid, split.options, before=(*before, clear), workspace=workspace)


_TILES = (
    # BLOCK_M, BLOCK_N, BLOCK_K, num_stages, num_warps
    (128, 256, 64, 4, 8),
    (128, 128, 64, 4, 8),
    (128, 128, 128, 3, 8),
    (128, 128, 64, 5, 4),
    (64, 256, 64, 4, 4),
    (64, 128, 128, 4, 4),
    (64, 64, 128, 6, 4),
    (32, 64, 128, 6, 4),
    (16, 128, 128, 5, 4),
    (16, 64, 256, 4, 4),
)
"""Large ones first; of these a problem takes those that are not much larger than it. Not timed by us yet."""


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Tiles that fit the problem, in as many parts as make one wave of programs or two; each way to add them up."""
    assert isinstance(target.device, Gpu)
    m, n = problem.dim("m"), problem.dim("n")
    fitting = fitting_tiles(problem, _TILES)
    highest = max(tile[0] for tile in fitting)
    guesses = []
    # One program takes long to add up many parts: that is a whole chip's work.
    few = target.device.sm_count // (-(-m // fitting[0][0]) * -(-n // fitting[0][1])) <= MOST_FOR_ONE
    reduces = ("last", "workspace", "atomic") if few else ("workspace", "atomic", "last")
    for reduce, waves in product(reduces, (1, 2)):
        for tile in fitting:
            rows, columns = -(-m // tile[0]), -(-n // tile[1])
            parts = max(target.device.sm_count * waves // (rows * columns), 2)
            if tile[0] * 2 >= highest and rows * columns * parts <= target.device.sm_count * MOST_SPLIT_WAVES:
                guesses.append(_seed(problem, target, tile, parts, reduce))
    return guesses or [_seed(problem, target, max(fitting, key=lambda tile: tile[0] * tile[1]), 2, "last")]


def _seed(problem: Problem, target: Target, tile: tuple[int, ...], parts: int, reduce: str) -> dict[str, Any]:
    """With the parameters that are there: another one would count as a difference."""
    rows, columns = -(-problem.dim("m") // tile[0]), -(-problem.dim("n") // tile[1])
    guess = tile_seed(problem, target, tile) | {"REDUCE": reduce}
    guess["REDUCE_BLOCK"] = min(tile[4] * 512, tile[0] * tile[1]) if reduce == "last" else 1024
    turns = -(-problem.dim("k") // guess["BLOCK_K"])
    guess["PARTS"] = max(known for known in PARTS if known <= max(min(parts, turns // 2), 2))
    if reduce != "last":
        guess["REDUCE_WARPS"] = 4
    if rows > 1 and columns > 1:
        guess["ORDER"] = "m"
    if rows * columns > 1:
        guess["PARTS_GO"] = "apart"
    return guess


TEMPLATE = KernelTemplate(
    name="triton_splitk",
    op="gemm",
    backend="triton",
    source="triton_splitk.py.jinja",
    space=_space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
    seeds_by_estimate=True,
    work=work,
)
