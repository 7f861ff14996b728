"""What is known of a compiled kernel without a GPU, and keeps it from taking a GPU's time."""

import re

import pytest
from builders import a_target
from kerntune.cache.records import Failure
from kerntune.spaces.config import Config
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.templates.template import Argument, Candidate, Launch
from kerntune.tuner.backends.cuda import CudaBackend
from kerntune.tuner.backends.triton import TritonBackend

TARGET = a_target()
SPILLS = {"BLOCK_M": 32, "BLOCK_N": 256, "num_warps": 2, "BLOCK_K": 256, "num_stages": 1, "ORDER": "n", "GROUP": 1}


@pytest.mark.triton
def test_a_kernel_that_runs_from_memory_is_refused_with_its_spilled_bytes(tmp_path):
    """300 times slower than the best on a GPU, and half a second of its time to learn it."""
    (template,) = templates_named("gemm", ["triton_tiled"])
    of = op_named("gemm").problem("gpu", m=4096, n=4096, k=4096, dtype="bf16", layout="nt")
    feasible = template.feasible(of, TARGET)
    backend = TritonBackend(TARGET, 1)
    try:
        made = backend.compile(template.candidate(feasible, of, TARGET, Config(SPILLS)), tmp_path)
    finally:
        backend.close()
    assert isinstance(made, Failure)
    assert made.kind == "constraints"
    assert re.fullmatch(r"spill_bytes [\d,]{5,} of a thread > 512: it would run from memory", made.reason)


@pytest.mark.nvrtc
@pytest.mark.parametrize(
    ("threads", "registers_per_sm", "reason"),
    [
        (1056, 65536, "threads_per_block 1,056 > 1,024"),
        (1024, 8192, r"registers [\d,]+ of a block > 8,192 of a multiprocessor"),
    ],
)
def test_a_block_no_multiprocessor_can_hold_is_refused(tmp_path, threads, registers_per_sm, reason):
    """The launch would fail; both numbers say why."""
    target = a_target(nvrtc="13.0.88", registers_per_sm=registers_per_sm)
    launch = Launch("k", (Argument("c", "*fp32"),), block=(threads, 1, 1))
    source = 'extern "C" __global__ void k(float *c) { c[threadIdx.x] = 1.0f; }'
    backend = CudaBackend(target, 1)
    try:
        made = backend.compile(Candidate("hand_written", "cuda", Config({"T": 1}), source, ".cu", launch), tmp_path)
    finally:
        backend.close()
    assert isinstance(made, Failure)
    assert made.kind == "constraints"
    assert re.fullmatch(reason, made.reason), made.reason
