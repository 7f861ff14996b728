"""cuda_skinny: its launches, what NVRTC makes of its sources, and its numbers with a block of fibers."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import skinny_host
from gemm_candidates import AMPERE, HOPPER, LAYOUTS, a_product, candidates, space_of
from kerntune.templates.catalogue import templates_named
from kerntune.tuner.backends.artifact import Artifact

(TEMPLATE,) = templates_named("gemm", ["cuda_skinny"])
LOADS = ("direct", "tma", "async")
DECODE = [(1, 4096, 4096), (16, 6144, 4096), (64, 4096, 14336), (64, 28672, 4096), (32, 50304, 768), (4096, 64, 4096)]


@pytest.mark.parametrize("shape", DECODE)
def test_decoding_has_configs_of_every_way_to_load(shape):
    """Which is best is for measuring to say."""
    feasible = space_of(TEMPLATE, a_product(*shape))
    assert {config["LOADS"] for config in feasible.sample(np.random.default_rng(0), 1000)} == set(LOADS)


@pytest.mark.parametrize("shape", DECODE)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_clusters_are_whole_and_only_sums_that_meet_in_memory_need_a_workspace(shape, layout):
    """A cluster's blocks add up in the shared memory of one."""
    for candidate in candidates(TEMPLATE, a_product(*shape, layout=layout), 150):
        config, launch = dict(candidate.config), candidate.launch
        assert launch.grid[0] % config["SPLIT"] == 0
        assert bool(launch.workspace) == (config.get("REDUCE") == "grid")


def test_an_epilogue_and_scales_come_after_c():
    """In the order in which the kernel takes them."""
    of = a_product(
        16, 512, 512, dtype="int8", out_dtype="bf16", layout="nt", scales="row", epilogue="bias+silu+residual"
    )
    (candidate, *_) = candidates(TEMPLATE, of, 1, REDUCE="grid", LOADS="direct")
    names = [argument.name for argument in candidate.launch.arguments]
    assert names == ["b", "a", "c", "a_scale", "b_scale", "bias", "residual", "partials", "arrivals"]


@pytest.mark.nvrtc
@pytest.mark.parametrize("target", [AMPERE, HOPPER], ids=["sm_80", "sm_90"])
def test_sampled_configs_compile_and_fit_their_registers(compiled, tmp_path, target):
    """Aligned and ragged strips, few tokens and many, of each way to load and each layout."""
    wanted = []
    for number, shape in enumerate([(1, 4096, 4096), (40, 1000, 328), (520, 64, 4096)]):
        for layout in LAYOUTS:
            for loads in LOADS:
                of = a_product(*shape, layout=layout)
                found = candidates(TEMPLATE, of, 1, number, target, LOADS=loads)
                wanted += [(candidate, target) for candidate in found]
    assert {candidate.config["LOADS"] for candidate, _ in wanted} == set(LOADS if target is HOPPER else LOADS[::2])
    assert len(wanted) >= 18
    for artifact in compiled(wanted, tmp_path):
        assert isinstance(artifact, Artifact), artifact
        assert artifact.registers * artifact.threads_per_block <= 65536
        assert artifact.spill_bytes == 0


OTHERS = [
    {"dtype": "fp16", "epilogue": "bias+gelu+residual", "layout": "nn"},
    {"dtype": "int8", "layout": "nt"},
    {"dtype": "int8", "out_dtype": "fp16", "layout": "nt", "scales": "row", "epilogue": "relu"},
    {"dtype": "fp8e4m3", "out_dtype": "bf16", "layout": "nt", "scales": "tensor"},
    {"dtype": "fp8e5m2", "out_dtype": "fp8e4m3", "layout": "nt", "epilogue": "bias+silu"},
]


@pytest.mark.nvrtc
@pytest.mark.parametrize("target", [AMPERE, HOPPER], ids=["sm_80", "sm_90"])
def test_other_types_and_epilogues_compile(compiled, tmp_path, target):
    """Where the chip has them."""
    wanted = []
    for fields in OTHERS:
        for shape in [(16, 333 if fields["layout"] == "nt" else 336, 1024), (640, 24, 1024)]:
            of = a_product(*shape, **fields)
            if TEMPLATE.supports(of, target) is None:
                ways = [candidates(TEMPLATE, of, 1, target=target, REDUCE=reduce) for reduce in ("grid", "cluster")]
                assert any(ways)
                wanted += [(candidate, target) for way in ways for candidate in way]
    assert {type(made) for made in compiled(wanted, tmp_path)} == {Artifact}


RAGGED = {
    "nt": [(5, 83, 264), (33, 72, 1024), (77, 63, 648), (19, 70, 1040)],
    "nn": [(17, 136, 328), (64, 64, 776), (200, 8, 512)],
    "tn": [(16, 104, 150), (64, 88, 513), (1, 96, 264)],
    "tt": [(8, 84, 328), (136, 24, 320), (64, 60, 512)],
}
OF_INT8 = (19, 70, 1040)


@pytest.mark.compiler
@pytest.mark.parametrize("loads", LOADS)
def test_its_numbers_are_right_on_ragged_shapes(tmp_path, loads):
    """Exact, of small integers; copies arrive at once or as late as they may; a workspace is left as it was found."""
    env = os.environ | {"PYTHONPATH": str(skinny_host.HERE)}

    def child(layout):  # a process of its own: a fault ends it
        folder = tmp_path / layout
        folder.mkdir()
        command = [sys.executable, __file__, str(folder), loads, layout]
        return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=env)

    with ThreadPoolExecutor(2) as pool:
        for layout, ran in zip(LAYOUTS, pool.map(child, LAYOUTS), strict=True):
            assert ran.stdout.split("\n")[:-1] == ["right"] * 2 * len(RAGGED[layout]), ran.stdout + ran.stderr[-2000:]


def _compare(folder, loads, layout):
    """Says of configs of each shape, with sums that meet in turn in a workspace and a cluster, whether C is right."""
    for number, shape in enumerate(RAGGED[layout]):
        fields = {"dtype": "int8"} if shape == OF_INT8 else {"out_dtype": "fp32"}
        of = a_product(*shape, layout=layout, **fields)
        assert TEMPLATE.supports(of, HOPPER) is None
        (candidate,) = candidates(TEMPLATE, of, 1, number, LOADS=loads, REDUCE=("grid", "cluster")[number % 2])
        library = skinny_host.compiled(candidate, Path(folder), of["dtype"])
        for lazy in (False, True):
            got, expected = skinny_host.run(candidate, library, of, lazy)
            said = "right" if (got == expected).all() else f"wrong {shape} {dict(candidate.config)}"
            sys.stdout.write(said + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    _compare(*sys.argv[1:])
