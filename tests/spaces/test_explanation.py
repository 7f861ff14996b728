"""Why a config is refused, what each constraint removes, and which constraints conflict."""

import pytest
from builders import a_problem, a_target
from kerntune.spaces import Space, choice, in_, pow2, problem, target, where
from kerntune.spaces.description import Description
from kerntune.spaces.explanation import refusal
from kerntune.spaces.expressions import Call, Symbol


def staged() -> Space:
    """Tiles in shared memory, in stages, with a split that has a way to reduce."""
    space = Space("staged")
    m, n, stages = space.add(pow2("M", 16, 64), pow2("N", 16, 64), choice("STAGES", 2, 3, 4))
    smem = space.derive("smem_bytes", (m + n) * 64 * problem.a_bytes * stages)
    space.require(smem <= target.smem_per_block_bytes, "stages of both tiles must fit shared memory")
    space.require((m != 64) | (n != 64), "the largest tile spills")
    split = space.add(choice("SPLIT", 1, 2))
    space.when(split > 1, space.add(choice("REDUCE", "atomic", "workspace")))
    return space


M, N, FLAG = Symbol("M"), Symbol("N"), Symbol("FLAG")


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (M % N == 0, "M % N = 1 != 0"),
        (M * N <= 2048, "M * N = 20,002,000 > 2,048"),
        ((M > 0) & (N < 100), "N = 2,000 >= 100"),
        ((M == 2) | (N == 3), "M = 10,001 != 2 and N = 2,000 != 3"),
        (in_(N, 1, 2, 4), "N = 2,000 not in (1, 2, 4)"),
        (where(FLAG, M < N, M > N), "M = 10,001 >= N = 2,000, as FLAG is True"),
        (~(M == 10_001), "not M == 10001 is False"),
        (Symbol("smem_bytes") <= 1024, "smem_bytes = 4,096 bytes > 1,024 bytes"),
        (Symbol("time_us") + 1 <= Symbol("limit_us"), "time_us + 1 = 6 µs > limit_us = 3 µs"),
        (Symbol("smem_bytes") // Symbol("time_us") <= 1, "smem_bytes // time_us = 819 > 1"),
        (Call("not", FLAG), "not FLAG is False"),
    ],
)
def test_a_refusal_shows_the_numbers_of_what_failed(expression, said):
    """Both sides, with the unit that the names agree on."""
    env = {"M": 10_001, "N": 2_000, "FLAG": True, "smem_bytes": 4096, "time_us": 5, "limit_us": 3}
    assert refusal(expression, env) == said


def test_explain_says_reason_numbers_and_unit():
    """What a person reads whose config was refused."""
    feasible = staged().on(a_problem(a_bytes=2), a_target(smem_per_block_bytes=49_152))
    assert feasible.explain({"M": 64, "N": 64, "STAGES": 4, "SPLIT": 1}) == (
        "stages of both tiles must fit shared memory "
        "(smem_bytes = 65,536 bytes > target.smem_per_block_bytes = 49,152 bytes)"
    )


def test_a_condition_that_reads_an_absent_parameter_does_not_hold():
    """Whoever gives such a parameter is told what it waits for."""
    space = Space("nested")
    split = space.add(choice("SPLIT", 1, 2))
    reduce, scratch = space.add(choice("REDUCE", "atomic", "workspace"), choice("SCRATCH", "fp32", "bf16"))
    space.when(split > 1, reduce)
    space.when(reduce == "workspace", scratch)
    assert space.explain({"SPLIT": 1}) == "it is feasible"
    assert space.explain({"SPLIT": 1, "SCRATCH": "fp32"}) == "SCRATCH is only there when REDUCE == 'workspace'"
    assert space.explain({"SPLIT": 2, "REDUCE": "workspace"}) == "SCRATCH is missing"


def test_a_space_explains_without_being_built():
    """However large it is; the problem and the target are named in the call."""
    space = staged()
    bound = a_problem(a_bytes=2), a_target(smem_per_block_bytes=49_152)
    config = {"M": 64, "N": 64, "STAGES": 4, "SPLIT": 1}
    assert space.explain(config, *bound) == space.on(*bound).explain(config)
    assert space.explain({**config, "M": 16}, *bound) == "it is feasible"
    assert space.explain({**config, "M": "wide"}, *bound) == "M='wide' is not one of [16, 32, 64]"


def test_describe_counts_what_each_constraint_removes():
    """In turn, alone and as the only one; the conditional parameter counts once where it is absent."""
    described = staged().describe(a_problem(a_bytes=2), a_target(smem_per_block_bytes=32_768))
    smem, spills = described.removals
    assert (described.cartesian, described.unconstrained, described.feasible) == (108, 81, 54)
    assert (smem.in_turn, smem.alone, smem.only_it) == (24, 24, 18)
    assert (spills.in_turn, spills.alone, spills.only_it) == (3, 9, 3)
    assert spills.expression == "M != 64 or N != 64"


def test_a_description_prints_as_a_table():
    """Counts and reasons a person can read."""
    text = str(staged().describe(a_problem(a_bytes=2), a_target(smem_per_block_bytes=32_768)))
    assert text.startswith("space staged: 54 of 108 configs are feasible")
    assert "stages of both tiles must fit shared memory" in text


def test_what_is_too_wide_to_count_is_said_to_be():
    """A constraint that another keeps small may be more than memory by itself; the total is still exact."""
    space = Space("wide")
    symbols = [space.add(choice(f"x{place}", *range(1, 40))) for place in range(6)]
    for symbol in symbols[1:]:
        space.require(symbol == symbols[0], "all are the same")
    space.require(sum(s * s * (i + 3) for i, s in enumerate(symbols)) % 1009 > 500, "a sum of its own")
    described = space.on(memory_bytes=1 << 20).describe()
    assert described.removals[-1].alone is None
    assert described.removals[-1].in_turn is not None
    assert "too many" in str(described)


def test_an_empty_space_names_the_fewest_constraints_that_conflict():
    """Two of four, though three of the others conflict as well."""
    space = Space("empty")
    a, b, c = space.add(pow2("A", 1, 16), pow2("B", 1, 16), pow2("C", 1, 16))
    space.require(a < b, "A below B")
    space.require(b < c, "B below C")
    space.require(c < a, "C below A")
    space.require(a + b > 64, "a large sum")
    space.require(b * c >= 2, "not both are 1")
    feasible = space.on()
    assert [constraint.reason for constraint in feasible.conflict] == ["a large sum"]
    assert feasible.emptied_by == "a large sum"


def test_a_conflict_of_several_names_them_all():
    """A circle of three, none of which can be left out."""
    space = Space("circle")
    a, b, c = space.add(pow2("A", 1, 16), pow2("B", 1, 16), pow2("C", 1, 16))
    for smaller, larger in ((a, b), (b, c), (c, a)):
        space.require(smaller < larger, f"{smaller} below {larger}")
    assert space.on().emptied_by == "A below B and B below C and C below A"


def test_a_rule_about_the_problem_alone_can_leave_nothing():
    """It reads no parameter, and is named all the same."""
    space = Space("whole")
    space.add(pow2("A", 1, 16))
    space.require(problem.m % 8 == 0, "rows come in eights")
    feasible = space.on(a_problem(m=12))
    assert (feasible.total, feasible.emptied_by) == (0, "rows come in eights")
    assert space.on(a_problem(m=16)).total == 5


def test_a_description_is_a_value():
    """Two of the same space are equal."""
    bound = a_problem(a_bytes=2), a_target()
    assert isinstance(staged().describe(*bound), Description)
    assert staged().describe(*bound) == staged().describe(*bound)
