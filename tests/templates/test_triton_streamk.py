"""triton_streamk: how turns are dealt out. Its numbers and binaries: test_triton_split.py."""

from itertools import pairwise

import numpy as np
import pytest
from gemm_candidates import DEEP, HUGE, LARGE, LONG, ODD, RAGGED, ROW, SQUARE, STRIP, WIDE, a_product, space_of
from kerntune.templates.catalogue import templates_named

(TEMPLATE,) = templates_named("gemm", ["triton_streamk"])
SHAPES = [DEEP, WIDE, HUGE, LARGE, SQUARE, STRIP, ODD, RAGGED, LONG, ROW]


@pytest.mark.parametrize("shape", SHAPES)
def test_turns_are_dealt_out_evenly_and_each_program_writes_two_tiles_of_sums_at_most(shape):
    """As the source does it: every turn of a streamed tile is one program's, and no two meet in the workspace."""
    feasible = space_of(TEMPLATE, a_product(*shape))
    for config in feasible.sample(np.random.default_rng(1), 40):
        values = feasible.bind(config)
        programs, streamed, turns = values["programs"], values["streamed"], -(-shape[2] // config["BLOCK_K"])
        tiles = -(-shape[0] // config["BLOCK_M"]) * -(-shape[1] // config["BLOCK_N"])
        assert values["whole_waves"] * programs + streamed == tiles
        share, longer = divmod(streamed * turns, programs)
        ends = [program * share + min(program, longer) for program in range(programs + 1)]
        assert share >= 1
        assert ends[-1] == streamed * turns
        slots = [
            2 * program + (tile * turns >= begin)
            for program, (begin, end) in enumerate(pairwise(ends))
            for tile in range(begin // turns, (end - 1) // turns + 1)
            if begin > tile * turns or end < (tile + 1) * turns
        ]
        assert len(set(slots)) == len(slots)
