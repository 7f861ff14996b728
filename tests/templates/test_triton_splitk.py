"""triton_splitk: parts of K and their sums. Its numbers and binaries: test_triton_split.py."""

import pytest
from gemm_candidates import DECODE, DEEP, LONG, ODD, RAGGED, ROW, STRIP, TALL, WIDE, a_product, candidates
from kerntune.templates.catalogue import templates_named
from kerntune.templates.gemm.triton_splitk import MOST_PARTIAL_BYTES

(TEMPLATE,) = templates_named("gemm", ["triton_splitk"])
SHAPES = [DEEP, LONG, WIDE, STRIP, TALL, DECODE, ROW, RAGGED, ODD, (1, 1, 33)]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_part_has_turns_and_partial_sums_stay_near_l2(shape):
    """Parts are whole turns of the loop over K."""
    for candidate in candidates(TEMPLATE, a_product(*shape), 100):
        config = candidate.config
        assert config["PARTS"] <= -(-shape[2] // config["BLOCK_K"])
        assert candidate.launch.workspace.get("partials", 0) <= MOST_PARTIAL_BYTES
