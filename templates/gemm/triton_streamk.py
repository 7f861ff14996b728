"""triton_streamk: as many programs as the chip holds, each with whole tiles of C and an even share of what is left.

For products of a few waves of tiles, the last of which would leave most of the chip idle. Turns of the loop over K of
the last tiles are dealt out evenly; partial sums meet in a workspace, where the program that arrives last at a tile
adds them up. None waits for another: nothing is lost where not all run at the same time. Sums are added in a fixed
order: the same bits at every call.

Source: Osama et al., Stream-K, PPoPP 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from ...spaces.functions import max_
from ...spaces.parameters import choice, int_range, pow2
from ...spaces.problems import Problem
from ...spaces.space import Space
from ...spaces.symbols import target
from ...spaces.targets import Gpu, Target
from ..template import Argument, KernelTemplate, Launch
from ..tensor_map import TRITON_DTYPES
from .copies import triton_copies
from .launches import results, sizes, triton_options
from .operands import copies_bytes
from .refusals import sums_dtype
from .split_tiles import add_tiles, fewest_tiles, fitting_tiles, inputs, read, refusal, tile_seed
from .streamk_work import work
from .tile_space import add_order

MOST_WAVES = 16
"""Past which what a last wave leaves idle is small."""

FEWEST_TURNS = 3
"""Of a program's share: less would be more adding up than multiplying."""


def _space() -> Space:
    s = Space("triton_streamk")
    per_sm = s.add(int_range("PER_SM", 1, 3))  # programs a multiprocessor is given
    tiles = add_tiles(s, per_sm)
    streamed = s.add(int_range("STREAMED", 1, 2))  # waves of tiles whose turns are dealt out, the last one included
    programs = s.derive("programs", target.sm_count * per_sm)
    s.require(tiles.count % programs != 0, "whole waves of tiles leave nothing idle")
    s.require(tiles.count <= programs * MOST_WAVES, "the last of so many waves is a small part")
    s.require((streamed == 1) | (tiles.count >= programs), "there is one wave")
    waves = s.derive("whole_waves", max_(tiles.count // programs - (streamed - 1), 0))
    left = s.derive("streamed", tiles.count - waves * programs)
    s.require(left * tiles.turns >= programs * FEWEST_TURNS, "shares of so few turns are mostly added up")
    first = s.add(choice("FIRST", "whole", "streamed"))
    s.when(waves > 0, first)
    reduce_block = s.add(pow2("REDUCE_BLOCK", 256, 8192, default=4096))  # sums that are added up at a time
    s.require(reduce_block >= tiles.block_n, "whole rows of a tile are added up")
    s.require(reduce_block <= tiles.block_m * tiles.block_n, "no more than a tile is added up at a time")
    s.require(reduce_block >= tiles.num_warps * 128, "every thread adds up 16 bytes")
    s.require(reduce_block <= tiles.num_warps * 1024, "sums and loads must fit the registers")
    add_order(s, tiles.rows, tiles.columns)
    return s


def _supports(problem: Problem, target: Target) -> str | None:
    reason = refusal(problem, target)
    if reason is not None:
        return reason
    assert isinstance(target.device, Gpu)
    m, n, programs = problem.dim("m"), problem.dim("n"), target.device.sm_count
    tiles = fewest_tiles(problem)
    if tiles > MOST_WAVES * programs:
        return f"its {tiles:,} largest tiles are so many that a last wave of {programs} is a small part of them"
    turns = -(-problem.dim("k") // 16) * -(-m // 16) * -(-n // 16)
    if turns < FEWEST_TURNS * programs:
        return f"it shares out K among {programs} programs, and there are {turns:,} products to share"
    return None


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    programs = values["programs"]
    partials = Argument("partials", f"*{TRITON_DTYPES[sums_dtype(problem)]}")
    arguments = (
        *inputs(problem, values),
        *results(problem, "triton"),
        partials,
        Argument("arrivals", "*i32"),
        *sizes(problem),
    )
    tile_bytes = values["BLOCK_M"] * values["BLOCK_N"] * 4
    workspace = {"partials": 2 * programs * tile_bytes, "arrivals": 4 * values["streamed"]}
    return Launch(
        "gemm_stream",
        arguments,
        (programs, 1, 1),
        triton_options(values),
        before=triton_copies(*read(problem, values)),
        workspace=copies_bytes(*read(problem, values)) | workspace,
    )


_TILES = (
    # BLOCK_M, BLOCK_N, BLOCK_K, num_stages, num_warps
    (128, 256, 64, 4, 8),
    (256, 128, 64, 4, 8),
    (128, 256, 64, 3, 8),
    (128, 128, 64, 5, 8),
    (128, 128, 128, 3, 8),
    (64, 256, 64, 4, 4),
    (64, 128, 128, 4, 4),
    (64, 64, 128, 5, 4),
    (32, 128, 128, 4, 4),
    (16, 128, 128, 5, 4),
)
"""Large ones first; of these a problem takes those that are not much larger than it. Not timed by us yet."""


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Tiles that fit the problem, one program a multiprocessor; one wave streamed, then two."""
    assert isinstance(target.device, Gpu)
    m, n = problem.dim("m"), problem.dim("n")
    fitting = fitting_tiles(problem, _TILES)
    highest = max(tile[0] for tile in fitting)
    likely = [tile for tile in fitting if tile[0] * 2 >= min(highest, 128)]
    tiles = {tile: -(-m // tile[0]) * -(-n // tile[1]) for tile in likely}
    return [
        _seed(problem, target, tile, streamed)
        for streamed, tile in product((1, 2), likely)
        if (streamed == 1 or tiles[tile] >= target.device.sm_count)
        and tiles[tile] <= MOST_WAVES * target.device.sm_count
    ] or [_seed(problem, target, likely[0], 1)]


def _seed(problem: Problem, target: Target, tile: tuple[int, ...], streamed: int) -> dict[str, Any]:
    """With the parameters that are there: another one would count as a difference."""
    assert isinstance(target.device, Gpu)
    rows, columns = -(-problem.dim("m") // tile[0]), -(-problem.dim("n") // tile[1])
    guess = tile_seed(problem, target, tile) | {"PER_SM": 1, "STREAMED": streamed}
    group = 1 if 1 in (rows, columns) else max(height for height in (1, 2, 4, 8) if height <= rows)
    guess |= {"REDUCE_BLOCK": min(tile[4] * 512, tile[0] * tile[1]), "ORDER": "m", "GROUP": group}
    if rows * columns // target.device.sm_count >= streamed:
        guess["FIRST"] = "streamed"
    return guess


TEMPLATE = KernelTemplate(
    name="triton_streamk",
    op="gemm",
    backend="triton",
    source="triton_streamk.py.jinja",
    space=_space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
    work=work,
)
