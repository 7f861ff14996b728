"""c_tiled: packed panels, a register tile in vector extensions, OpenMP; fp32 on a processor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.functions import in_, where
from ...spaces.parameters import choice
from ...spaces.problems import Problem
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ...spaces.targets import Cpu, Target
from ..template import Argument, KernelTemplate, Launch
from .c_work import work
from .op import plain_only


def _space() -> Space:
    s = Space("c_tiled")
    split, _order, pack = s.add(
        choice("SPLIT", "rows", "cols", "shared", "grid"),  # what threads share out
        choice("ORDER", "ji", "ij"),  # which panel stays in L1
        choice("PACK", "ab", "b", "a"),  # which operands are copied into panels
    )
    s.require((pack != "a") | in_(problem.layout, "nn", "tn"), "B is read in place only where its rows are contiguous")
    s.require((split != "shared") | (pack != "a"), "sharing B panels needs B packed")
    s.require((split == "rows") | (target.threads > 1), "one thread has nothing to share out")
    s.require((split != "grid") | ((target.threads >= 4) & (target.threads % 2 == 0)), "a grid needs 2 x 2 threads")
    vw, nrv, mr = s.add(
        choice("VW", 4, 8, 16),  # floats of one vector
        choice("NRV", 1, 2, 3, 4),  # vectors of the register tile's row
        choice("MR", 1, 2, 4, 6, 8, 12, 14, 24),  # rows of the register tile
    )
    s.require(vw * 4 <= target.vector_bytes, "vectors wider than the processor's are emulated")
    s.require(vw * 8 >= target.vector_bytes, "vectors under half the processor's width waste it")
    s.require(mr * nrv + nrv + 1 <= target.vector_registers, "the tile, a row of B and one of A must fit registers")
    s.require((mr * nrv >= 8) | (problem.m < 16), "fewer sums than the adder is deep leave it idle")
    s.require((mr == 1) | (mr < 2 * problem.m), "a tile of more than twice the rows computes padding")
    s.require((mr >= 4) | (problem.m < 16), "low tiles read B too often")
    s.require((nrv == 1) | (nrv * vw < 2 * problem.n), "a tile of more than twice the columns computes padding")
    s.require(~in_(split, "cols", "grid") | (problem.n > nrv * vw), "a single panel of columns cannot be shared out")
    s.require((split != "grid") | (problem.m > mr), "a single panel of rows cannot be shared out")
    ku, mc, kc, nc, _ = s.add(
        choice("KU", 1, 4),  # steps of K unrolled
        choice("MC", 48, 192, 768),  # rows of a block of A
        choice("KC", 128, 256, 512, 1024),  # depth of a block
        choice("NC", 128, 512, 2048),  # columns of a block of B
        choice("PREFETCH", "none", "c"),
    )
    s.require((ku == 1) | (ku <= problem.k), "unrolling deeper than K does nothing")
    row_share = where(in_(split, "rows", "shared"), target.threads, 1)
    col_share = where(split == "cols", target.threads, 1)
    s.require((mc == 48) | (mc * row_share < 4 * problem.m), "blocks far beyond the rows are one and the same")
    s.require((kc == 128) | (kc < 2 * problem.k), "blocks far beyond K are one and the same")
    s.require((nc == 128) | (nc * col_share < 4 * problem.n), "blocks far beyond the columns are one and the same")
    s.require(mr * kc * 4 <= target.l1d_bytes, "a panel of A must fit L1")
    s.require(mc * kc * 4 <= target.l2_bytes, "a block of A must fit L2")
    return s


def _supports(problem: Problem, target: Target) -> str | None:
    if not isinstance(target.device, Cpu):
        return "it runs on a processor"
    if problem["dtype"] != "fp32" or problem["out_dtype"] != "fp32" or problem["acc_dtype"] != "fp32":
        return f"it computes fp32, not {problem['dtype']}"
    return plain_only(problem)


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    inputs = (Argument("a", "const float *"), Argument("b", "const float *"))
    return Launch("gemm", (*inputs, Argument("c", "float *")))


_TILES = {
    16: ((6, 2), (4, 3), (4, 3), (4, 2), (12, 1), (6, 2)),
    32: ((8, 3), (6, 4), (6, 4), (8, 2), (12, 2), (14, 2)),
}
"""(MR, NRV) of the seeds by vector registers: enough sums to hide the multiply-add's latency, and no spills."""


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Guesses for this processor, as wide as its vectors."""
    assert isinstance(target.device, Cpu)
    # A stored by columns is packed: read in place, each step of K would touch another page.
    in_place = "b" if str(problem["layout"])[0] == "n" else "ab"
    cols, shared = ("cols", "shared") if target.device.threads > 1 else ("rows", "rows")
    blocks: tuple[dict[str, Any], ...] = (
        {"KC": 1024, "MC": 48, "NC": 2048, "PACK": in_place, "SPLIT": "rows", "ORDER": "ji", "PREFETCH": "c"},
        {"KC": 512, "MC": 192, "NC": 512, "PACK": in_place, "SPLIT": shared, "ORDER": "ji", "PREFETCH": "none"},
        {"KC": 512, "MC": 192, "NC": 128, "PACK": in_place, "SPLIT": "rows", "ORDER": "ji", "PREFETCH": "none"},
        {"KC": 1024, "MC": 48, "NC": 2048, "PACK": "ab", "SPLIT": cols, "ORDER": "ji", "PREFETCH": "c"},
        {"KC": 512, "MC": 48, "NC": 128, "PACK": in_place, "SPLIT": cols, "ORDER": "ij", "PREFETCH": "c"},
        {"KC": 512, "MC": 48, "NC": 2048, "PACK": "ab", "SPLIT": shared, "ORDER": "ji", "PREFETCH": "c"},
    )
    fixed = {"VW": target.device.vector_bytes // 4, "KU": 4}
    tiles = _TILES[target.device.vector_registers]
    return [{**fixed, "MR": mr, "NRV": nrv, **block} for (mr, nrv), block in zip(tiles, blocks, strict=True)]


TEMPLATE = KernelTemplate(
    name="c_tiled",
    op="gemm",
    backend="cpu",
    source="c_tiled.c.jinja",
    space=_space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
    work=work,
)
