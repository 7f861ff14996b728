"""What holds of every template of gemm on a GPU: its space, its seeds, its sources, and how they are called."""

import ast
import re
from dataclasses import dataclass

import numpy as np
import pytest
from gemm_candidates import (
    AMPERE,
    BARE,
    COLUMN,
    DECODE,
    DEEP,
    HOPPER,
    HUGE,
    LARGE,
    LAYOUTS,
    LONG,
    ODD,
    RAGGED,
    ROW,
    SQUARE,
    STRIP,
    TALL,
    TINY,
    VOCABULARY,
    WIDE,
    a_product,
    candidates,
    space_of,
)
from kerntune.templates.catalogue import op_named, templates

TEMPLATES = {template.name: template for template in templates("gemm") if template.backend in ("cuda", "triton")}
UP, SMALL, FEW, EDGE, CUBE = (64, 28672, 4096), (8, 8, 8), (1, 8, 72), (136, 40, 328), (64, 64, 64)
ALL_TYPES = ("bf16", "fp16", "tf32", "tf32x3", "int8", "fp8e4m3", "fp8e5m2")


@dataclass(frozen=True)
class Domain:
    """What a template is for: `large` shapes have `least` configs or more in each of `many`, all shapes have some."""

    least: int
    large: tuple
    others: tuple
    dtypes: tuple = ("bf16",)
    many: tuple = (("bf16", "nt"),)
    sources: int = 1  # of how many of the types sources are drawn
    exact: tuple = ()  # shapes whose first seed is a config as it stands


DOMAINS = {
    "cuda_mma": Domain(
        5000,
        (LARGE,),
        (ODD, TINY, BARE, ROW, COLUMN, RAGGED, LONG),
        ("bf16", "tf32", "int8"),
        many=tuple((dtype, layout) for dtype in ALL_TYPES for layout in LAYOUTS),
    ),
    "cuda_simt": Domain(
        2000, (LARGE,), (ODD, TINY, BARE, ROW, COLUMN, RAGGED), ("fp32",), many=(("fp32", "nn"), ("fp32", "nt"))
    ),
    "cuda_skinny": Domain(
        2000,
        (ROW, DECODE, STRIP, UP, VOCABULARY, TALL),
        (SMALL, FEW, EDGE, CUBE),
        many=(("bf16", "nn"),),
    ),
    "cuda_wgmma": Domain(
        10_000,
        (LARGE,),
        (ODD, TINY, BARE, ROW, STRIP, (5, 7, 4096)),
        exact=(LARGE, (8192, 4096, 14336), SQUARE, STRIP, (1024, 1024, 1024)),
    ),
    "triton_skinny": Domain(2000, (ROW, DECODE, STRIP, VOCABULARY, TALL), (TINY, BARE)),
    "triton_splitk": Domain(
        5000,
        (DEEP, LONG, WIDE, STRIP, TALL, DECODE),
        (ROW, RAGGED, ODD, (1, 1, 33)),
        ("bf16", "fp32", "int8", "fp8e4m3"),
        exact=(DEEP, LONG, WIDE, STRIP, TALL, DECODE),
    ),
    "triton_streamk": Domain(
        5000,
        (DEEP, WIDE, HUGE, LARGE, SQUARE, STRIP),
        (ODD, RAGGED, LONG, ROW),
        ("bf16", "fp32", "int8", "fp8e4m3"),
        exact=(DEEP, WIDE, HUGE, LARGE, SQUARE, STRIP),
    ),
    "triton_tiled": Domain(
        2000,
        (LARGE,),
        (ODD, TINY, BARE, ROW, RAGGED),
        ("bf16", "fp8e5m2", "fp32", "tf32x3", "int8", "fp8e4m3"),
        sources=2,
    ),
    "triton_tma": Domain(
        2000,
        (LARGE,),
        (ODD, TINY, BARE, ROW, RAGGED),
        ("bf16", "tf32", "tf32x3", "int8", "fp8e5m2"),
    ),
}


def _supported(name, shapes, dtypes, layouts=LAYOUTS):
    """Problems of these that a template computes on a Hopper."""
    found = (a_product(*shape, dtype=dtype, layout=x) for shape in shapes for dtype in dtypes for x in layouts)
    return [of for of in found if TEMPLATES[name].supports(of, HOPPER) is None]


def _said(case):
    name, shape, *_ = case
    return f"{name}-{'x'.join(map(str, shape))}"


SHAPES = [(name, shape) for name, domain in DOMAINS.items() for shape in (*domain.large, *domain.others)]


@pytest.fixture(scope="module", params=SHAPES, ids=_said)
def drawn(request):
    """(template, problem, candidates) of one shape in each layout that the template takes of it."""
    name, shape = request.param
    template, dtypes = TEMPLATES[name], DOMAINS[name].dtypes[: DOMAINS[name].sources]
    return [(template, of, candidates(template, of, 60)) for of in _supported(name, [shape], dtypes)]


def test_every_template_has_its_domain_here():
    """A new one is held to the same laws."""
    assert DOMAINS.keys() == TEMPLATES.keys()


@pytest.mark.parametrize("name", DOMAINS)
def test_a_large_product_has_thousands_of_configs(name):
    """There is something to search, in each type and layout that it is for."""
    domain = DOMAINS[name]
    for shape in domain.large:
        for dtype, layout in domain.many:
            of = a_product(*shape, dtype=dtype, layout=layout)
            assert TEMPLATES[name].supports(of, HOPPER) is None
            assert len(space_of(TEMPLATES[name], of)) >= domain.least, of.fields


@pytest.mark.parametrize("case", SHAPES, ids=_said)
def test_every_shape_has_configs_seeds_and_estimates(case):
    """Neither a tiny nor an odd problem is left without a kernel, in any type or layout."""
    name, shape = case
    template, known = TEMPLATES[name], _supported(name, [shape], DOMAINS[name].dtypes)
    assert known
    for number, of in enumerate(known):
        for target in (HOPPER, AMPERE) if number % 5 == 0 else (HOPPER,):  # a layout of each type
            if template.supports(of, target) is None:
                space = space_of(template, of, target)
                seeds = template.seed_configs(space, of, target)
                assert seeds
                assert all(seed in space for seed in seeds)
                estimates = template.estimates_us(space, of, target, range(min(len(space), 20)))
                assert np.isfinite(estimates).all()
                assert (estimates > 0).all()


@pytest.mark.parametrize("name", [name for name, domain in DOMAINS.items() if domain.exact])
def test_the_first_seed_of_a_large_product_is_a_config_as_it_stands(name):
    """A parameter too many would count as a difference, and a guess that is bent to the nearest is another guess."""
    for shape in DOMAINS[name].exact:
        of = a_product(*shape, layout="nt")
        first = TEMPLATES[name].seeds(of, HOPPER)[0]
        assert dict(space_of(TEMPLATES[name], of).nearest(first)) == dict(first), shape


def test_no_two_configs_share_a_source(drawn):
    """A config that renders another's source would be measured twice."""
    for template, of, found in drawn:
        sources = [candidate.source for candidate in found]
        assert len(set(sources)) == len(sources), of.fields
        assert template.backend == "cuda" or all(ast.parse(source) for source in sources)


@pytest.mark.parametrize("name", DOMAINS)
def test_every_parameter_changes_the_source(name):
    """Alone, where it can: one that does not would make the space larger than what it holds."""
    (of, *_) = _supported(name, DOMAINS[name].large[:1], DOMAINS[name].dtypes)
    template, space = TEMPLATES[name], space_of(TEMPLATES[name], of)
    varied = {parameter for parameter, values in space.occurring().items() if len(values) > 1}
    for kind in ("hamming", "adjacent"):  # in steps of the second, others come and go with it
        for config in space.sample(np.random.default_rng(0), 1000) if varied else ():
            for other in space.neighbours(config, kind) if varied else ():
                changed = varied & {name for name, value in other.items() if config.get(name, value) != value}
                if changed:
                    first, second = (template.candidate(space, of, HOPPER, x).source for x in (config, other))
                    assert first != second, (changed, other)
                varied -= changed
    assert not varied


def test_every_launch_is_legal(drawn):
    """Blocks, shared memory and maps are such as the chip takes."""
    for _, of, found in drawn:
        for candidate in found:
            for launch in (*candidate.launch.before, candidate.launch):
                assert all(1 <= size < 2**31 for size in launch.grid)
                assert max(launch.grid[1:]) <= 65535
                assert launch.smem_bytes <= HOPPER.device.smem_per_block_bytes
                assert launch.block is None or 1 <= np.prod(launch.block) <= 1024
                tensors = [argument.tensor for argument in launch.arguments if argument.tensor]
                assert [x.refusal for x in tensors if x.refusal] == [], (of.fields, dict(candidate.config))


def test_arguments_are_those_of_the_source_and_name_its_arrays(drawn):
    """In the order in which the kernel takes them; each array is the op's or of the workspace, which is all used."""
    for _, of, found in drawn:
        buffers = {buffer.name for buffer in op_named("gemm").buffers(of)}
        for candidate in found:
            launches, used = (*candidate.launch.before, candidate.launch), set()
            workspace = candidate.launch.workspace
            for launch in launches:
                assert len(_parameters(candidate, launch.entry)) == len(launch.arguments), launch.entry
                for argument in launch.arguments:
                    if argument.tensor is not None:
                        used.add(argument.tensor.buffer)
                        whole = workspace.get(argument.tensor.buffer)
                        assert whole is None or argument.tensor.reach_bytes <= whole
                    elif argument.value is None:
                        used.add(argument.name)
            assert used - buffers == workspace.keys(), (of.fields, dict(candidate.config))
            assert buffers <= used
            assert all(size > 0 for size in workspace.values())


def _parameters(candidate, entry):
    """What the kernel of this name takes, as its source says."""
    opened = r":" if candidate.backend == "triton" else r"\s*\{"
    (taken,) = re.findall(rf"\b{entry}\(([^(){{}};]*)\){opened}", candidate.source)
    return taken.rstrip(", \n").split(",")
