"""Search spaces as T1 JSON: read from what others publish, written for other tools."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kerntune.spaces import (
    Problem,
    Space,
    ceil_div,
    choice,
    flag,
    from_t1,
    int_range,
    max_,
    min_,
    permutation,
    position,
    pow2,
    problem,
    to_t1,
    where,
)
from kerntune.spaces.errors import SpaceError, UnknownName


def a_document(parameters: list | None = None, conditions: list | None = None) -> dict:
    """A document as Kernel Tuner's benchmarks publish them."""
    listed = [
        {"Name": "block_size_x", "Type": "int", "Values": "[16*i for i in range(1,9)]", "Default": 16},
        {"Name": "block_size_y", "Type": "int", "Values": "[2**i for i in range(6)]", "Default": [1]},
        {"Name": "use_padding", "Type": "int", "Values": [0, 1], "Default": 7},
    ]
    stated = [{"Expression": "use_padding==0 or (block_size_x % 32 != 0)", "Parameters": ["use_padding", "other"]}]
    return {
        "General": {"BenchmarkName": "convolution"},
        "ConfigurationSpace": {"TuningParameters": parameters or listed, "Conditions": conditions or stated},
        "KernelSpecification": {"KernelName": "convolution_kernel", "ProblemSize": [4096, 4096]},
    }


def dicts(space: Space, bound: Problem | None = None) -> list[dict]:
    return [dict(config) for config in space.on(bound)]


def pythons_configs(document: dict) -> list[dict]:
    """The configs as Kernel Tuner finds them: every product of the values that no condition's Python refuses."""
    described = document["ConfigurationSpace"]
    names = [parameter["Name"] for parameter in described["TuningParameters"]]
    values = [eval(parameter["Values"]) for parameter in described["TuningParameters"]]  # noqa: S307 -- the oracle
    rows = [dict(zip(names, row, strict=True)) for row in itertools.product(*values)]
    texts = [condition["Expression"] for condition in described["Conditions"]]
    return [row for row in rows if all(eval(text, {}, dict(row)) for text in texts)]  # noqa: S307 -- the oracle


def test_a_published_document_is_the_space_it_describes():
    """As a mapping and as text; a default that is no value is left out, a parameter list that errs does no harm."""
    document = a_document()
    space = from_t1(json.dumps(document))
    assert space.name == "convolution"
    assert [parameter.default for parameter in space.parameters] == [16, 1, 0]
    assert dicts(space) == dicts(from_t1(document))
    assert len(dicts(space)) == 8 * 6 + 4 * 6


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda document: document["General"].clear(), "convolution_kernel"),
        (lambda document: document.pop("General"), "convolution_kernel"),
        (lambda document: [document.pop("General"), document.pop("KernelSpecification")], "t1"),
    ],
)
def test_the_name_is_the_benchmarks_or_the_kernels(change, name):
    """Documents without one are named after the format."""
    document = a_document()
    change(document)
    assert from_t1(document).name == name


def one(**changed: object) -> dict:
    return a_document([{"Name": "MWG", "Type": "int", "Values": "[1, 2]", **changed}], [{"Expression": "MWG > 1"}])


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("", "is not a JSON document"),
        ("[1]", "is a JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ('{"a": ' + "9" * 5000 + "}", "is not a JSON document"),
        (" " * 1_000_001, "1,000,001 characters"),
        ({}, 'the document has no "ConfigurationSpace"'),
        ({"ConfigurationSpace": []}, '"ConfigurationSpace" is "\\[\\]", not an object'),
        ({"ConfigurationSpace": {}}, 'has no "TuningParameters"'),
        ({"ConfigurationSpace": {"TuningParameters": {}}}, "not a list"),
        ({"ConfigurationSpace": {"TuningParameters": [1] * 10_001}}, "10,001 entries"),
        ({"ConfigurationSpace": {"TuningParameters": [[]]}}, r"TuningParameters\[0\] is .* not an object"),
        ({"ConfigurationSpace": {"TuningParameters": [{}]}}, r'TuningParameters\[0\] has no "Name"'),
        ({**one(), "General": 3}, '"General" is "3", not an object'),
        ({**one(), "General": {"BenchmarkName": 3}}, '"BenchmarkName" is "3", not text'),
        (one(Name=3), r'TuningParameters\[0\]: "Name" is "3", not text'),
        (one(Name="M W"), r'TuningParameters\[0\] "M W" cannot name a parameter'),
        (one(Name="M" * 9999 + " "), r"TuningParameters\[0\] .* cannot name a parameter"),
        (one(Type="double"), r'TuningParameters\[0\] "MWG": "Type" is "double". Known: int, uint'),
        (one(Type="string"), r'TuningParameters\[0\] "MWG": "1" is not of "Type" string'),
        (one(Type="bool"), "is not of"),
        (one(Values="[0.5]"), '"0.5" is not of "Type" int'),
        (one(Values="[True]"), '"True" is not of "Type" int'),
        (one(Type="uint", Values="[-1]"), '"-1" is not of "Type" uint'),
        (one(Values=None), r'TuningParameters\[0\] "MWG": values are a list'),
        (one(Values=[None]), "cannot be a value"),
        (one(Values=[float("inf")], Type="float"), "cannot be a value"),
        (one(Values="[]"), r'TuningParameters\[0\] "MWG": .* no values'),
        (one(Values="[1, 1]"), "twice"),
        (one(Values="[open('x')]"), r'TuningParameters\[0\] "MWG": .*Call is not part'),
        (a_document(one()["ConfigurationSpace"]["TuningParameters"] * 2), r'\[1\] "MWG": MWG is defined twice'),
        (a_document(None, [3]), r"Conditions\[0\] is .* not an object"),
        (a_document(None, [{}]), r'Conditions\[0\] has no "Expression"'),
        (a_document(None, [{"Expression": 3}]), r'Conditions\[0\]: "Expression" is "3", not text'),
        (a_document(None, [{"Expression": "MWG > 1"}]), r'Conditions\[0\]: "MWG" is not a parameter'),
        (a_document(None, [{"Expression": "use_padding.x"}]), r"Conditions\[0\]: .*Attribute is not part"),
        (a_document(None, [{"Expression": "1 > 0", "Parameters": 3}]), '"Parameters" is "3", not a list'),
        (a_document(None, [{"Expression": "1 > 0", "Reason": 3}]), '"Reason" is "3", not text'),
        (a_document(None, [{"Expression": "1 > 0", "When": 3}]), '"When" is "3", not an object'),
        (
            a_document(None, [{"Expression": "1 > 0", "When": {"M": "1 > 0"}}]),
            r'\[0\]: "M" is not a parameter in "When"',
        ),
        (a_document(None, [{"Expression": "1 > 0", "When": {"use_padding": 3}}]), "not text"),
    ],
)
def test_a_broken_document_is_refused_naming_the_entry(document, why):
    """A document has hundreds of entries: the error says which one, and what it lacks."""
    with pytest.raises(SpaceError, match=why) as raised:
        from_t1(document)
    assert len(str(raised.value)) < 500


def test_a_document_that_makes_many_values_is_refused():
    """Each parameter is within the limit, all together are not."""
    parameters = [{"Name": f"p{i}", "Type": "int", "Values": "list(range(900000))"} for i in range(9)]
    with pytest.raises(SpaceError, match=r"TuningParameters\[2\]|TuningParameters\[1\]"):
        from_t1(a_document(parameters))


def tiles() -> Space:
    """A space with all the language has: derived, bound and conditional names, reasons, permutations."""
    space = Space("tiles")
    m, stages = space.add(pow2("M", 16, 256, default=32), int_range("STAGES", 1, 12))
    loops = space.add(permutation("LOOPS", "m", "n", "k"))
    smem = space.derive("smem_bytes", m * stages * 2)
    space.require(smem <= problem.limit, "stages must fit shared memory")
    space.require(ceil_div(problem.m, m) <= 7, "few blocks")
    space.require((position(loops, "k") > position(loops, "m")) | (m == 16), "k lies within m")
    space.require(position(loops, "n") + 1 != stages, "for the test")
    split = space.add(choice("SPLIT", 1, 2))
    reduce, wide = space.add(choice("REDUCE", "atomic", "workspace"), flag("WIDE"))
    space.when(split > 1, reduce)
    space.when(reduce == "workspace", wide)
    space.require(reduce == "workspace", "atomics are not wanted")
    space.require(where(wide, m > 16, stages < 3), "for the test too")
    space.require(min_(m, 64) + max_(stages, 2) < 70, "again")
    return space


A_PROBLEM = Problem("gemm", (("m", 100),), (("limit", 1024),))


def test_a_written_space_reads_back_to_the_same_configs():
    """Conditions, reasons, defaults and order survive; derived and bound values are put in."""
    space = tiles()
    document = json.loads(json.dumps(to_t1(space, A_PROBLEM)))
    read = from_t1(document)
    assert dicts(read) == dicts(space, A_PROBLEM)
    assert [p.default for p in read.parameters] == [p.default for p in space.parameters]
    reasons = [constraint.reason for constraint in space.declaration.constraints]
    assert [constraint.reason for constraint in read.declaration.constraints] == reasons


def test_other_tools_find_the_same_configs_with_absent_parameters_at_their_default():
    """Values and expressions are plain Python: eval gives each config once."""
    space = tiles()
    document = to_t1(space, A_PROBLEM)
    defaults = {parameter.name: parameter.default for parameter in space.parameters}
    assert pythons_configs(document) == [defaults | config for config in dicts(space, A_PROBLEM)]


def test_a_written_document_has_the_form_of_the_published_schema():
    """Names, types, values and expressions are text, and parameters are the names an expression reads."""
    described = to_t1(tiles(), A_PROBLEM)["ConfigurationSpace"]
    for parameter in described["TuningParameters"]:
        assert parameter["Type"] in ("int", "uint", "float", "bool", "string")
        assert isinstance(parameter["Name"], str)
        assert isinstance(parameter["Values"], str)
    assert described["Conditions"][0] == {
        "Expression": "SPLIT > 1 or REDUCE == 'atomic'",
        "Parameters": ["REDUCE", "SPLIT"],
        "When": {"REDUCE": "SPLIT > 1"},
    }
    assert described["TuningParameters"][1]["Values"] == "list(range(1, 13))"
    assert described["Conditions"][3]["Expression"] == "-(-100 // M) <= 7"


def test_a_name_that_nothing_binds_cannot_be_written():
    """T1 has no problem and no target."""
    with pytest.raises(UnknownName, match=r"problem\.limit"):
        to_t1(tiles())


@pytest.mark.parametrize(
    ("parameter", "why"),
    [
        (choice("A", 1, "a"), "parameter A mixes"),
        (choice("A", "a\0"), "T1 cannot list the values of parameter A"),
        (choice("A", 10**19), "T1 cannot list the values of parameter A"),
        (choice("in", 1, 2), "T1 cannot say a constraint on in"),
    ],
)
def test_what_t1_cannot_say_is_refused(parameter, why):
    """Better no document than one that others read as another space."""
    space = Space("s")
    space.require(space.add(parameter) != 5, "for the test")
    with pytest.raises(SpaceError, match=why):
        to_t1(space)


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    rules=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 3)), max_size=3),
    conditions=st.dictionaries(st.integers(1, 4), st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=3),
)
def test_any_space_reads_back_to_the_same_configs(sizes, rules, conditions):
    """Random sizes, constraints and conditions, also on parameters that are conditional themselves."""
    space = Space("random")
    symbols = [space.add(choice(f"p{i}", *range(1, size + 1))) for i, size in enumerate(sizes)]
    for place, (on, least) in conditions.items():
        if place < len(sizes) and on < place:
            space.when(symbols[on] >= least, symbols[place])
    for a, b, c in rules:
        space.require((symbols[a % len(sizes)] + c) % symbols[b % len(sizes)] == 0, f"divides {c}")
    document = to_t1(space)
    defaults = {parameter.name: parameter.default for parameter in space.parameters}
    assert dicts(from_t1(document)) == dicts(space)
    assert pythons_configs(document) == [defaults | config for config in dicts(space)]
