"""Small, valid values for tests: say only what the test is about, the rest is filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

from kerntune.cache.records import Baseline, Failure, Measurement, Phase, Policy, Record, RecordKey
from kerntune.spaces import Space, choice, int_range, pow2
from kerntune.spaces.config import Config
from kerntune.spaces.expressions import Value
from kerntune.spaces.problems import FieldValue, Problem
from kerntune.spaces.targets import Cpu, Gpu, Target, Toolchain
from kerntune.templates.template import KernelTemplate

A_STAMP = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)

A_TEMPLATE = "a" * 32
"""Digest of the template that `a_record` was made from."""

_CPU = Cpu("Model T", ("avx", "avx2", "fma"), cores=2, threads=2, l1d_bytes=32768, l2_bytes=2**20, l3_bytes=2**25)
_GPU = Gpu(
    "GPU X",
    "sm_90",
    sm_count=132,
    smem_per_block_bytes=232448,
    registers_per_sm=65536,
    l2_bytes=50 * 2**20,
    memory_bytes=80 * 2**30,
    bandwidth_gbs=3352,
    power_limit_w=700,
    mig=False,
)


def a_problem(op: str = "gemm", **changes: FieldValue) -> Problem:
    """A product of 256 x 256 x 256 in bf16, but for `changes`."""
    values: dict[str, FieldValue] = {"m": 256, "n": 256, "k": 256, "dtype": "bf16", "layout": "nn"} | changes
    return Problem(op, tuple(values.items()))


def a_target(kind: str = "gpu", **changes: object) -> Target:
    """A GPU (or `kind="cpu"`) with its tools, but for `changes`: fields of the device or of the toolchain."""
    tools = {name: changes.pop(name) for name in [f.name for f in fields(Toolchain)] if name in changes}
    if kind == "cpu":
        return Target(replace(_CPU, **changes), Toolchain(**{"compiler": "gcc 14.2", "flags": "-O3"} | tools))
    return Target(
        replace(_GPU, **changes), Toolchain(**{"driver": "550.54", "cuda": "13.0", "triton": "3.6.0"} | tools)
    )


def a_key(problem: Problem | None = None, policy: Policy | None = None, **target_changes: object) -> RecordKey:
    """The key of a_problem() on a_target(**target_changes), taken cold in a graph."""
    return RecordKey(problem or a_problem(), a_target(**target_changes), policy or Policy())


def a_record(
    key: RecordKey | None = None,
    config: Mapping[str, Value] | None = None,
    us: float | tuple[float, ...] = 10.0,
    *,
    failure: Failure | None = None,
    template_digest: str = A_TEMPLATE,
    phase: Phase = "search",
    minutes: float = 0,
    recorded_by: str = "tests",
    baseline: Baseline | None = None,
) -> Record:
    """A record of `us` µs (one sample, or several), or of a failure, recorded `minutes` after A_STAMP."""
    samples = us if isinstance(us, tuple) else (us,)
    return Record(
        key=key or a_key(),
        template="gemm_tiled",
        template_digest=template_digest,
        space_digest="b" * 32,
        config=Config(config if config is not None else {"BLOCK_M": 64, "BLOCK_N": 128}),
        outcome=failure or Measurement(samples),
        recorded_at=A_STAMP + timedelta(minutes=minutes),
        recorded_by=recorded_by,
        phase=phase,
        baseline=baseline,
    )


def a_winner(problem: Problem, us: float, template: KernelTemplate, config: Config | None, target: Target) -> Record:
    """A record of a template that there is: of its first seed, or of a config."""
    if config is None:
        (config, *_) = template.seed_configs(template.feasible(problem, target), problem, target)
    key = RecordKey(problem, target, Policy.default_for(target.kind))
    return replace(a_record(key, config, us, template_digest=template.digest), template=template.name)


def a_valley():
    """2,880 configs of a kernel whose times a test makes up."""
    space = Space("valley")
    space.add(pow2("M", 8, 256), pow2("N", 8, 256), int_range("K", 8, 80, 8), int_range("S", 1, 4))
    space.add(choice("KIND", "a", "b"))
    return space.on(None, a_target("cpu"))
