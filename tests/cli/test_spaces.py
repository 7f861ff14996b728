"""`tune spaces show`: why a space is as small as it is, without a database or a measurement."""

import html
import json
import os
import sys
import time
from pathlib import Path

import pytest
import typer
from builders import a_target
from kerntune.spaces.errors import NoFeasibleConfig, UnknownName, UsageError
from kerntune.templates.catalogue import ops, templates
from kerntune.tuner import wiring
from kerntune.tuner.cli.main import make_app
from kerntune.tuner.hosts import Host

GEMM = ["gemm", "--shape", "777x333x2048"]


@pytest.fixture
def show(monkeypatch, capsys):
    """`tune spaces show …` on a processor or a GPU of our own: what it prints."""

    def shown(*arguments, on="cpu", **device):
        target = a_target(on, **device)
        host = Host(target, frozenset({"cpu"} if on == "cpu" else {"triton", "cuda"}), None, None, {})
        monkeypatch.setattr(wiring, "open_host", lambda name, config: host)
        command = typer.main.get_command(make_app())
        command(["spaces", "show", *arguments], standalone_mode=False)
        return capsys.readouterr().out

    return shown


@pytest.mark.parametrize("op", ops().values(), ids=lambda op: op.name)
def test_every_op_has_the_command_with_its_own_flags(op):
    """Made from the op's description, as `tune lookup OP` is."""
    command = typer.main.get_command(make_app()).commands["spaces"].commands["show"].commands[op.name]
    known = {name for parameter in command.params for name in parameter.opts}
    fields = {"--" + field.name.replace("_", "-") for field in op.fields}
    assert fields | {"--shape", "--device", "--template", "--picture", "--json"} <= known
    assert "--db" not in known
    assert f"Example: tune spaces show {op.name}" in command.epilog


@pytest.mark.parametrize("on", ["cpu", "gpu"])
@pytest.mark.parametrize("shape", ["4096x4096x4096", "777x333x2048", "3x5x7"])
def test_what_is_removed_in_turn_adds_up(show, on, shape):
    """size - conditions - the sum of in_turn = feasible."""
    told = json.loads(show("gemm", "--shape", shape, "--json", on=on))
    for space in told["templates"].values():
        removed = sum(removal["in_turn"] for removal in space["removals"])
        assert space["size"] - space["conditions"] - removed == space["feasible"] > 0
        assert all(r["only_it"] <= r["in_turn"] <= r["alone"] for r in space["removals"])


def test_the_json_says_all_that_a_space_is(show):
    """Parameters with conditions and unused values, derived values, what was bound, every constraint; who cannot."""
    told = json.loads(show(*GEMM, "--json", on="gpu"))
    assert told.keys() == {"problem", "target", "templates", "unsupported"}
    assert told["target"] == a_target("gpu").as_dict()
    assert told["unsupported"] == {
        "c_tiled": "it runs on cpu, not on this gpu",
        "cuda_simt": "it computes fp32, not bf16",
        "cuda_skinny": "a side of C is at most 64, not 777 x 333",
        "triton_skinny": "it computes up to 64 rows or columns, not 777 and 333",
    }
    (template,) = (template for template in templates("gemm") if template.name == "triton_tiled")
    space = told["templates"]["triton_tiled"]
    declaration = template.space.declaration
    assert [parameter["name"] for parameter in space["parameters"]] == [p.name for p in declaration.parameters]
    assert {p["name"]: p["when"] for p in space["parameters"] if p["when"]} == {
        name: str(condition) for name, condition in declaration.conditions.items()
    }
    assert space["derived"] == {name: str(expression) for name, expression in declaration.derived.items()}
    assert [removal["reason"] for removal in space["removals"]] == [c.reason for c in declaration.constraints]
    assert space["bound"]["problem.m"] == 777
    assert space["conflict"] == []


def test_a_value_that_no_feasible_config_has_is_marked(show):
    """The first thing whoever misses a config wants to know."""
    told = json.loads(show(*GEMM, "--json"))
    unused = {p["name"]: p["unused"] for p in told["templates"]["c_tiled"]["parameters"] if p["unused"]}
    assert unused["SPLIT"] == ["grid"]  # two threads
    text = show(*GEMM)
    assert "rows, cols, shared, (grid)" in text
    assert "a grid needs 2 x 2 threads" in text


def test_people_see_every_reason_and_no_template_is_passed_over(show, monkeypatch):
    """What removes most stands first; what removes nothing is named below; a template that cannot says why."""
    monkeypatch.setenv("COLUMNS", "300")
    told = json.loads(show(*GEMM, "--json"))["templates"]["c_tiled"]
    text = show(*GEMM)
    assert all(removal["reason"] in text for removal in told["removals"])
    largest, *_, least = sorted((r for r in told["removals"] if r["in_turn"]), key=lambda r: -r["in_turn"])
    assert text.index(largest["reason"]) < text.index(least["reason"])
    assert "triton_tiled has no space here: it runs on triton, not on this cpu" in text


def test_an_empty_space_names_its_conflict_and_ends_with_exit_3(show, capsys):
    """No registers, no tile: the reason is printed before the refusal."""
    with pytest.raises(NoFeasibleConfig, match="no template can compute gemm"):
        show(*GEMM, "--json", on="gpu", registers_per_sm=64)
    space = json.loads(capsys.readouterr().out)["templates"]["triton_tiled"]
    assert space["feasible"] == 0
    assert [conflict["reason"] for conflict in space["conflict"]] == [
        "a thread's sums and addresses must fit its registers"
    ]
    with pytest.raises(NoFeasibleConfig):
        show(*GEMM, on="gpu", registers_per_sm=64)
    assert "cannot hold" in capsys.readouterr().out


def test_an_unknown_template_is_refused_with_the_known_ones(show):
    """As by every command."""
    with pytest.raises(UnknownName, match=r"Known: c_tiled, cuda_mma, .*, triton_tma .*Did you mean \"c_tiled\"\?"):
        show(*GEMM, "--template", "c_tield")


@pytest.mark.parametrize("on", ["cpu", "gpu"])
def test_a_picture_holds_every_reason_and_needs_no_network(show, tmp_path, on):
    """One page with plotly in it."""
    file = tmp_path / "space.html"
    told = json.loads(show(*GEMM, "--json", "--picture", str(file), on=on))
    page = file.read_text()
    assert "<script src=" not in page
    for space in told["templates"].values():
        for removal in space["removals"]:
            assert f"{html.escape(removal['reason'], quote=False)}\\u003c" in page
    assert "gemm 777x333x2048" in page


def test_a_picture_as_json_has_a_bar_for_every_stage(show, tmp_path):
    """All combinations, conditions, each constraint, feasible; counts as text."""
    file = tmp_path / "space.json"
    space = json.loads(show(*GEMM, "--template", "triton_tiled", "--json", "--picture", str(file), on="gpu"))
    space = space["templates"]["triton_tiled"]
    before, left = json.loads(file.read_text())["data"]
    assert len(before["text"]) == len(left["y"]) == len(space["removals"]) + 3
    assert before["text"][0] == f"{space['size']:,}"
    assert before["text"][-1] == f"{space['feasible']:,}"


def test_an_empty_space_has_a_picture_too(show, tmp_path):
    """That is when one wants to see which constraint took the last config."""
    file = tmp_path / "space.json"
    with pytest.raises(NoFeasibleConfig):
        show(*GEMM, "--picture", str(file), on="gpu", registers_per_sm=64)
    assert json.loads(file.read_text())["data"][0]["text"][-1] == "0"


@pytest.mark.parametrize("file", ["space.png", "space.pdf", "space"])
def test_a_picture_of_another_kind_is_refused_with_the_reason(show, file, tmp_path):
    """Before anything is computed, and nothing is written."""
    with pytest.raises(UsageError, match=r"written as \.html or \.json"):
        show(*GEMM, "--picture", str(tmp_path / file))
    assert list(tmp_path.iterdir()) == []


def test_a_picture_in_no_folder_is_refused(show, tmp_path):
    """The folder is named."""
    with pytest.raises(UsageError, match="there is no folder"):
        show(*GEMM, "--picture", str(tmp_path / "nowhere" / "space.html"))


def test_without_plotly_the_extra_is_named(show, monkeypatch):
    """What to install, in one line."""
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(UsageError, match=r'pip install "kerntune\[report\]"'):
        show(*GEMM, "--picture", "space.html")


def test_showing_touches_no_database_and_is_quick(show):
    """Under a second for 4096 x 4096 x 4096."""
    start_s = time.perf_counter()
    show("gemm", "--shape", "4096x4096x4096")
    assert time.perf_counter() - start_s < 1
    assert not Path(os.environ["KERNTUNE_DB"].removeprefix("sqlite:///")).exists()
