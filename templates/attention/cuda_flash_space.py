"""The space of cuda_flash: which tiles, rings, turns and schedules a Hopper takes without spilling."""

from __future__ import annotations

from ...spaces.expressions import Expr
from ...spaces.functions import ceil_div, in_, max_, min_, where
from ...spaces.parameters import choice, flag, int_range, pow2
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ..limits import MAX_REGISTERS_PER_THREAD

ROWS = 64
"""Queries of a warpgroup: the rows of a wgmma. Source: PTX ISA, wgmma."""

LINE_ELEMENTS = 64
"""Of 16 bits, in a swizzled line of 128 bytes."""

BLOCK_NS = tuple(range(32, 257, 16))
"""Keys at a time: a wgmma has up to 256 columns, and takes 16 of the depth when the weights multiply V."""

LEAN, FULL = {1: 24, 2: 24, 3: 32}, {1: 40, 2: 40, 3: 56}
"""Registers of a thread that loads, by warpgroups that multiply; these have what is left. With the fewest the draw of
tiles from memory spills (NVRTC 13.0)."""

SPARE_REGISTERS, SPARE_ALONE = 32, 48
"""Beside scores, weights and sums: row maxima, barriers, addresses. One warpgroup alone gets no more than 255."""

SPARE_IN_STEPS, SPARE_OF_MANY, SPARE_OF_THREE = 36, 48, 56
"""Without overlap; of more than 128 dims, and of three warpgroups. Of 854 compiles by NVRTC 13.0, of all dims and ways,
three of the some 380 that these rules allow spilled, 16 to 20 bytes, and 282 of the others (2026-11-23)."""

MOST_IN_STEPS = 192
"""Keys of a block without overlap, whose weights take the place of their scores little by little."""

OPERAND_REGISTERS = 26
"""That ptxas 13.0 wants beside the sums of one wgmma, of those at the kernel's start: C7602 otherwise."""


def flash_space() -> Space:
    """All that a config of cuda_flash chooses, and why some choices do not go together."""
    s = Space("cuda_flash")
    warpgroups, block_n = s.add(choice("WARPGROUPS", 2, 3, 1), choice("BLOCK_N", *BLOCK_NS, default=128))
    block_m = s.derive("BLOCK_M", ROWS * warpgroups)
    s.require((warpgroups == 1) | (block_m - ROWS < problem.s), "a warpgroup without queries does nothing")
    keys = s.derive("keys", _most_keys(block_m))
    s.require((block_n == BLOCK_NS[0]) | (block_n - 16 < keys), "a block of more keys than are seen is padding")
    stages = s.add(int_range("STAGES", 1, 8, default=2))
    s.require((stages == 1) | (stages <= ceil_div(keys, block_n)), "more stages than blocks of keys stay empty")
    overlap, pingpong = s.add(flag("OVERLAP", default=True), flag("PINGPONG", default=True))
    s.require((warpgroups > 1) | ~pingpong, "one warpgroup has nobody to take turns with")

    tiles_high = ceil_div(problem.s, block_m)
    heads = problem.b * problem.h
    tiles = s.derive("tiles", tiles_high * heads)
    schedule, section = s.add(choice("SCHEDULE", "blocks", "static", "dynamic"), pow2("SECTION", 1, 256, default=8))
    resident = s.add(int_range("RESIDENT", 1, 3))
    s.require((resident == 1) | (warpgroups * resident <= 4), "so many threads leave each too few registers")
    s.require((resident == 1) | (tiles > target.sm_count), "a single block of a multiprocessor has no neighbour")
    there = target.sm_count * resident
    s.require((schedule == "blocks") | (tiles > there), "all tiles are there at once: none is to be drawn")
    s.require((section == 1) | (section < 2 * heads), "a section holds no more heads than there are")
    s.require((section == 1) | (tiles_high > 1), "heads of a single tile have one order")
    store, loops = s.add(choice("STORE", "reuse", "tma", "direct"), choice("LOOPS", "split", "branch"))
    s.add(choice("RESCALE", "always", "moved", "far"))
    s.require((store != "tma") | (schedule != "blocks"), "O needs room of its own only where another tile's Q comes")
    masked = problem.is_causal | (problem.window_size > 0)
    s.require((loops == "split") | masked, "without a mask one block at most differs from the others")
    _require_registers(s, warpgroups, resident, block_n, overlap, schedule)
    lines = ceil_div(problem.d, LINE_ELEMENTS)
    q_bytes, kv_bytes = lines * block_m * 128, lines * block_n * 128
    smem = s.derive(
        "smem_bytes", q_bytes * where(store == "tma", 2, 1) + 2 * stages * kv_bytes + 32 * stages + 24 + 1024
    )
    s.require(smem <= target.smem_per_block_bytes, "Q and the stages of K and V must fit shared memory")
    s.require(
        (resident == 1) | ((smem + 1024) * resident <= target.smem_per_block_bytes + 1024),
        "the blocks of a multiprocessor must fit its shared memory",
    )
    return s


def _most_keys(block_m: Expr) -> Expr:
    """Keys that queries of one tile see, at most."""
    window = problem.window_size
    beside = where(problem.is_causal, window, 2 * window - 1)
    causal = where(problem.is_causal, min_(problem.kv_len, problem.s + max_(problem.shift, 0)), problem.kv_len)
    return max_(where(window > 0, min_(causal, block_m + beside), causal), 1)


def _require_registers(
    s: Space, warpgroups: Expr, resident: Expr, block_n: Expr, overlap: Expr, schedule: Expr
) -> None:
    """Those of a thread that loads, and what is left for those that multiply. Source: PTX ISA, setmaxnreg."""
    producer = s.add(choice("PRODUCER_REGISTERS", 24, 40, 32, 56))
    alone = (warpgroups == 1) & (resident == 1)
    of_few, of_three = in_(producer, LEAN[2], FULL[2]), in_(producer, LEAN[3], FULL[3])
    s.require(where(warpgroups == 3, of_three, of_few), "registers are shared out by warpgroups")
    s.require(~alone | (producer == LEAN[1]), "there are as many as a thread can name")
    s.require(
        (schedule != "dynamic") | alone | in_(producer, FULL[2], FULL[3]), "who draws tiles needs registers for it"
    )
    s.derive("SETMAXNREG", ~alone)
    at_start = min_(target.registers_per_sm // (128 * (warpgroups + 1) * resident) // 8 * 8, MAX_REGISTERS_PER_THREAD)
    given = min_((at_start * (warpgroups + 1) - producer) // warpgroups // 8 * 8, 240)
    consumer = s.derive("CONSUMER_REGISTERS", where(alone, MAX_REGISTERS_PER_THREAD, given))
    scores, sums = block_n // 2, problem.d // 2
    s.require(overlap | (block_n <= MOST_IN_STEPS), "weights of more keys need room beside their scores")
    held = s.derive("held", sums + scores + where(overlap, scores // 2, 0))
    in_steps = where(problem.d > 128, SPARE_OF_MANY, SPARE_IN_STEPS)
    together = where(alone, SPARE_ALONE, SPARE_REGISTERS)
    spare = where(overlap, together, where(warpgroups == 3, SPARE_OF_THREE, max_(in_steps, together)))
    s.require(held + spare <= consumer, "scores, weights and sums must fit a thread's registers")
    s.require(
        max_(scores, sums) + OPERAND_REGISTERS <= at_start,
        "one wgmma's sums must fit the registers that a thread starts with",
    )
