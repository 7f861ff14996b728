"""triton_splitk: its space, its sources, its numbers in Triton's interpreter, and what the compiler makes of them."""

import ast
from dataclasses import replace

import numpy as np
import pytest
from builders import a_target
from interpreted import a_product, fault, run
from kerntune.cache.records import Failure
from kerntune.templates.catalogue import templates_named
from kerntune.templates.gemm.triton_splitk import MOST_PARTIAL_BYTES
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.triton import TritonBackend

(TEMPLATE,) = templates_named("gemm", ["triton_splitk"])
TARGET = a_target()
LAYOUTS = ("nn", "nt", "tn", "tt")
SHAPES = [
    (256, 4096, 14336),
    (128, 128, 65536),
    (512, 6144, 4096),
    (64, 4096, 14336),
    (4096, 64, 4096),
    (16, 6144, 4096),
    (1, 4096, 4096),
    (1000, 1002, 1001),
    (777, 3333, 2048),
    (1, 1, 33),
]


def an_ampere():
    return a_target(arch="sm_80", sm_count=108, smem_per_block_bytes=166912)


def candidates(of, count, seed=0, target=TARGET, **fixed):
    """Drawn from the feasible configs, those with the `fixed` values only."""
    feasible = TEMPLATE.feasible(of, target)
    drawn = feasible.sample(np.random.default_rng(seed), min(len(feasible), 5_000 if fixed else count))
    configs = [config for config in drawn if fixed.items() <= dict(config).items()][:count]
    return [TEMPLATE.candidate(feasible, of, target, config) for config in configs]


@pytest.mark.parametrize("shape", SHAPES[:6])
def test_a_product_with_few_tiles_has_thousands_of_configs(shape):
    """There is something to search."""
    assert len(TEMPLATE.feasible(a_product(*shape, dtype="bf16", layout="nt"), TARGET)) >= 5000


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "layout"), [("bf16", "nt"), ("fp32", "tn"), ("int8", "nn"), ("fp8e4m3", "tt")])
def test_what_it_supports_has_configs_and_seeds(shape, layout, dtype):
    """Neither a skinny nor an odd problem is left without a kernel."""
    for target in (TARGET, an_ampere()):
        of = a_product(*shape, layout=layout, dtype=dtype)
        if TEMPLATE.supports(of, target) is None:
            feasible = TEMPLATE.feasible(of, target)
            seeds = TEMPLATE.seed_configs(feasible, of, target)
            assert seeds
            assert all(seed in feasible for seed in seeds)


def test_its_first_seed_is_a_config_as_it_stands():
    """A parameter too many would count as a difference, and the guess would become another one."""
    for shape in SHAPES[:6]:
        of = a_product(*shape, dtype="bf16", layout="nt")
        assert dict(TEMPLATE.seeds(of, TARGET)[0]) in TEMPLATE.feasible(of, TARGET)


@pytest.mark.parametrize("layout", ["nn", "tt"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_source_is_python_and_no_two_configs_share_one(shape, layout):
    """A config that renders another's source would be measured twice."""
    sources = [candidate.source for candidate in candidates(a_product(*shape, layout=layout), 100)]
    assert len(set(sources)) == len(sources)
    assert all(ast.parse(source) for source in sources)


def test_every_part_has_turns_and_partial_sums_stay_near_l2():
    """Parts are whole turns of the loop over K."""
    for shape in SHAPES:
        for candidate in candidates(a_product(*shape), 100):
            config = candidate.config
            assert config["PARTS"] <= -(-shape[2] // config["BLOCK_K"])
            assert candidate.launch.workspace.get("partials", 0) <= MOST_PARTIAL_BYTES


def test_descriptors_are_only_made_of_what_tma_can_map():
    """Sixteen bytes divide the rows of A and B, or of their copies; and no chip before sm_90 is given any."""
    for shape in SHAPES:
        for layout in LAYOUTS:
            of = a_product(*shape, layout=layout)
            for candidate in candidates(of, 20):
                launches = (*candidate.launch.before, candidate.launch)
                tensors = [argument.tensor for launch in launches for argument in launch.arguments if argument.tensor]
                assert [tensor.refusal for tensor in tensors if tensor.refusal] == []
                assert bool(tensors) == (candidate.config["LOADS"] in ("tma", "copied_tma"))
            older = [candidate.config["LOADS"] for candidate in candidates(of, 20, target=an_ampere())]
            assert set(older) <= {"pointer", "copied_pointer"}


@pytest.mark.parametrize(
    ("target", "fields", "reason"),
    [
        (a_target("cpu"), {}, "it runs on a GPU of sm_80 or later"),
        (a_target(arch="sm_75"), {}, "it runs on a GPU of sm_80 or later"),
        (a_target(arch="sm_80"), {"dtype": "fp8e4m3"}, "it multiplies fp8e4m3 on a GPU of sm_89 or later"),
        (TARGET, {"acc_dtype": "fp16"}, "it sums fp16 in fp32, not fp16"),
        (TARGET, {"batch": 2}, "it computes batch=1 only, not 2"),
        (TARGET, {"scales": "block128"}, "it computes scales=none, tensor and row only, not block128"),
        (TARGET, {"k": 16}, "it shares out K among programs, and 16 is one turn of 16"),
        (TARGET, {"m": 8192, "n": 8192}, "its 2,048 largest tiles fill 132 multiprocessors without splitting K"),
        (TARGET, {"scales": "row", "epilogue": "bias+gelu+residual"}, None),
    ],
)
def test_what_it_cannot_compute_is_said(target, fields, reason):
    """A template that is passed over says why."""
    given = {"m": 64, "n": 64, "k": 4096} | fields
    assert TEMPLATE.supports(a_product(given.pop("m"), given.pop("n"), given.pop("k"), **given), target) == reason


NUMBERS = [
    ((33, 65, 95), {}),
    ((33, 65, 96), {"layout": "nt", "epilogue": "bias+gelu+residual"}),
    ((48, 40, 129), {"layout": "tn", "dtype": "fp32"}),
    ((17, 96, 128), {"layout": "tt", "out_dtype": "fp32"}),
    ((64, 64, 256), {"layout": "nt", "dtype": "int8"}),
    ((64, 48, 250), {"layout": "nn", "dtype": "int8", "out_dtype": "fp16", "scales": "row"}),
    ((40, 48, 128), {"layout": "nt", "dtype": "fp8e4m3", "out_dtype": "fp16", "scales": "tensor"}),
    ((40, 48, 99), {"dtype": "tf32x3", "epilogue": "silu"}),
    ((1, 130, 77), {"layout": "nt"}),
    ((100, 150, 64), {"layout": "tn", "epilogue": "bias+relu"}),
]


@pytest.mark.triton
@pytest.mark.torch
@pytest.mark.parametrize("reduce", ["last", "workspace", "atomic"])
def test_its_numbers_are_right_at_every_call(tmp_path, reduce):
    """The second call finds arrivals and sums as the first one did, and fixed orders give the same bits."""
    cases = []
    for number, (shape, fields) in enumerate(NUMBERS):
        of = a_product(*shape, **fields)
        cases += [(of, candidate) for candidate in candidates(of, 3, seed=number, REDUCE=reduce)]
    assert len(cases) == 3 * len(NUMBERS)
    for of, candidate, first, second in run(cases, tmp_path, zero=("arrivals",)):
        assert fault(of, first) is None, candidate.config
        assert np.array_equal(first, second), candidate.config


@pytest.fixture(scope="module", params=["sm_80", "sm_90"])
def target(request):
    return an_ampere() if request.param == "sm_80" else TARGET


@pytest.fixture(scope="module")
def backend(target):
    """A compile process for one chip."""
    made = TritonBackend(target, 1)
    yield made
    made.close()


@pytest.mark.triton
@pytest.mark.parametrize("reduce", ["last", "workspace", "atomic"])
@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": "bf16", "layout": "nt", "epilogue": "bias+gelu+residual"},
        {"dtype": "bf16", "layout": "tn", "out_dtype": "fp32"},
        {"dtype": "tf32x3", "layout": "nn"},
        {"dtype": "int8", "layout": "nt", "out_dtype": "bf16", "scales": "row"},
        {"dtype": "fp8e4m3", "layout": "nt", "scales": "tensor"},
    ],
)
def test_every_kernel_of_its_launches_compiles(backend, target, tmp_path, fields, reduce):
    """The product, what comes before it and what adds up; too many registers at the worst."""
    for shape in [(256, 1536, 4096), (129, 1000, 1003)]:
        of = a_product(*shape, **fields)
        if TEMPLATE.supports(of, target) is None:
            wanted = candidates(of, 1, seed=3, target=target, REDUCE=reduce, num_warps=4)
            assert wanted
            for candidate in wanted:
                for launch in (*candidate.launch.before, candidate.launch):
                    alone = replace(candidate, launch=replace(launch, before=(), workspace={}))
                    made = backend.compile(alone, tmp_path)
                    spilled = isinstance(made, Failure) and made.reason.startswith("spill_bytes ")
                    assert isinstance(made, Artifact) or spilled, made
