"""The command line, Python and HTTP speak of a problem in the same words."""

import inspect
import subprocess
import sys
import time
from dataclasses import fields

import pytest
import typer
from kerntune.templates.catalogue import ops
from kerntune.tuner import api
from kerntune.tuner.cli.main import make_app
from kerntune.tuner.stopping import StopRules

FACES = [(op, field.name) for op in ops().values() for field in op.fields]


def commands():
    return typer.main.get_command(make_app()).commands


@pytest.mark.parametrize(("op", "field"), FACES, ids=lambda value: getattr(value, "name", value))
def test_a_field_has_one_name_on_every_face(op, field):
    """--kv-heads, kv_heads=, ?kv_heads=: one description, three faces."""
    from kerntune.server.parameters import signature_of

    flag = "--" + field.replace("_", "-")
    for command in (commands()[op.name], commands()["lookup"].commands[op.name]):
        assert flag in {name for parameter in command.params for name in parameter.opts}
    assert field in signature_of(op).parameters
    op.problem("cpu", **{letter: 1 for letter in op.letters}, **{field: None})  # the keyword of Python


def test_python_takes_the_flags_of_tuning():
    """trials, sampler, seed and the rest mean the same in kerntune.tune."""
    python = set(inspect.signature(api.tune).parameters)
    assert {"device", "template", "trials", "time_s", "sampler", "seed", "policy", "force", "db", "transfer"} <= python


@pytest.mark.parametrize("rule", [rule.name for rule in fields(StopRules)])
def test_a_stop_rule_has_one_name_on_every_face(rule):
    """--target-us, target_us=: of a study, of tuning in Python, and of every tuning command."""
    assert rule in inspect.signature(api.tune).parameters
    for op in ops():
        assert "--" + rule.replace("_", "-") in {name for parameter in commands()[op].params for name in parameter.opts}


def test_python_takes_the_flags_of_workloads():
    """The same words, but for the file and the picture."""
    flags = {option.opts[0].strip("-").replace("-", "_") for option in commands()["workload"].params}
    python = set(inspect.signature(api.tune_workload).parameters)
    assert python - {"problems", "time_s"} == flags - {"file", "time", "picture", "json"}


def test_every_command_has_help_with_an_example():
    """Help that shows how."""
    for name, command in commands().items():
        assert f"Example: tune {name}" in command.epilog, name


def test_help_answers_at_once():
    """Under 0.2 s on a quiet machine; the bound here allows for a busy one, and numpy is never imported."""
    code = "import sys; from kerntune.tuner.cli.main import make_app; make_app(); print('numpy' in sys.modules)"
    best_s = 9.0
    for _ in range(5):
        start_s = time.perf_counter()
        subprocess.run([sys.executable, "-m", "kerntune.tuner.cli", "--help"], capture_output=True, check=True)
        best_s = min(best_s, time.perf_counter() - start_s)
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
    assert best_s < 0.4


def test_importing_kerntune_is_cheap_and_touches_nothing():
    """< 30 ms and no heavy library."""
    code = (
        "import sys, time; t = time.perf_counter(); import kerntune; d = time.perf_counter() - t;"
        "assert not {'numpy', 'sqlalchemy', 'optuna', 'torch', 'cupy', 'triton'} & set(sys.modules); print(d)"
    )
    best_s = min(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(5))
    assert best_s < 0.03


@pytest.mark.parametrize("words", [["--causal"], ["--causal", "yes"], ["--causal", "--kv-heads", "2"]], ids=" ".join)
def test_a_switch_may_stand_alone(words):
    """--causal is --causal yes, wherever it stands."""
    command = commands()["attention"]
    with command.make_context("attention", ["--shape", "1x4x64x64", *words]) as context:
        assert (context.params["causal"], context.params["kv_heads"]) == ("yes", 2 if "2" in words else None)
