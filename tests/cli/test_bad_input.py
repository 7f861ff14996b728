"""Bad input: one clear message, the interface's exit code, no traceback, nothing lost."""

import os
import socket
import sqlite3
import subprocess
import sys

import pytest

TUNE = [sys.executable, "-m", "kerntune.tuner.cli"]
GEMM = ["gemm", "--device", "cpu", "--shape"]


def refused(*arguments, **environment):
    """Exit code and the last line of standard error of a command that must not succeed."""
    env = {**os.environ, **environment}
    done = subprocess.run([*TUNE, *arguments], capture_output=True, text=True, timeout=60, check=False, env=env)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([*GEMM, "4096x4096"], 2, 'ShapeError: gemm needs 3 dims (MxNxK), got 2 in "4096x4096"'),
        ([*GEMM, "axbxc"], 2, 'ShapeError: m is "a"'),
        ([*GEMM, "0x1x1"], 2, 'ShapeError: m is "0"'),
        ([*GEMM, "8x8x8", "--dtype", "fp33"], 2, 'UnknownName: "fp33" is not a dtype of gemm'),
        ([*GEMM, "8x8x8", "--layout", "nx"], 2, 'UnknownName: "nx" is not a layout of gemm'),
        ([*GEMM, "8x8x8", "--sampler", "bayes"], 2, 'UnknownName: "bayes" is not a sampler. Known: annealing,'),
        ([*GEMM, "8x8x8", "--template", "c_tield"], 2, 'Did you mean "c_tiled"?'),
        ([*GEMM, "8x8x8", "--policy", "hot"], 2, 'UnknownName: "hot" is not a policy. Known: cold, warm'),
        (["gemm", "--shape", "8x8x8", "--device", "tpu"], 2, 'UnknownName: "tpu" is not a device'),
        ([*GEMM, "8x8x8", "--trials", "0"], 2, "both must be above 0"),
        ([*GEMM, "8x8x8", "--time", "nan"], 2, "both must be above 0"),
        ([*GEMM, "8x8x8", "--trials", "many"], 2, "--trials"),
        (["gemm"], 2, "--shape"),
        (["gemmm", "--shape", "8x8x8"], 2, "gemmm"),
        ([*GEMM, "8x8x8", "--dtype", "bf16"], 3, "c_tiled: it computes fp32, not bf16"),
        ([*GEMM, "8x8x8", "--batch", "3"], 3, "c_tiled: it computes batch=1 only, not 3"),
        ([*GEMM, "8x8x8", "--template", "triton_tiled"], 3, "triton_tiled: it runs on triton, not on this cpu"),
        ([*GEMM, "900000x900000x900000"], 5, "GB free. Use a smaller shape or a larger machine."),
        ([*GEMM, "8x8x8", "--db", "nonsense"], 4, "StoreError"),
        ([*GEMM, "8x8x8", "--db", "sqlite:////proc/no/where.db"], 4, "StoreError"),
        (["lookup", "gemm", "--shape", "8x8x8", "--device", "cpu", "--min-match", "fuzzy"], 2, "not a kind of match"),
        (["lookup", "gemm", "--shape", "8x8x8", "--server", "http://127.0.0.1:9"], 6, "NetworkError: no answer from"),
        (["lookup", "gemm", "--shape", "8x8x8", "--server", "ftp://x"], 2, "begins with http:// or https://"),
        (["serve", "--host", "0.0.0.0"], 2, "each request needs a key, and there is none yet"),
        (["serve", "--port", "99999"], 2, "65535"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_words_are_told_with_the_right_code(arguments, code, says):
    """What, where, how to mend."""
    got, line = refused(*arguments)
    assert says in line
    assert got == code


def test_a_bad_environment_is_told():
    """The variable and its value are named."""
    code, line = refused(*GEMM, "8x8x8", OMP_NUM_THREADS="many")
    assert (code, "OMP_NUM_THREADS" in line, "many" in line) == (2, True, True)


@pytest.mark.compiler
def test_a_cache_directory_that_cannot_be_written_is_told():
    """The folder, and the variable that names another."""
    code, line = refused(*GEMM, "8x8x8", KERNTUNE_CACHE_DIR="/proc/nowhere")
    assert code == 5
    assert "cannot write to /proc/nowhere" in line
    assert "KERNTUNE_CACHE_DIR" in line


@pytest.mark.parametrize("kind", ["text", "foreign"])
def test_a_database_of_somebody_else_is_left_as_it_is(tmp_path, kind):
    """Nothing in it changes, byte for byte."""
    path = tmp_path / "theirs.db"
    if kind == "text":
        path.write_text("this is my diary, not a database\n" * 50)
    else:
        with sqlite3.connect(path) as theirs:
            theirs.execute("create table diary (entry text)")
        theirs.close()
    before = path.read_bytes()
    code, line = refused(*GEMM, "8x8x8", "--db", f"sqlite:///{path}")
    assert code == 4
    assert str(path) in line
    assert path.read_bytes() == before


def test_a_busy_port_is_told():
    """Exit 6, and how to name another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, line = refused("serve", "--port", str(taken.getsockname()[1]))
    assert code == 6
    assert "name a free port by --port" in line


@pytest.mark.compiler
def test_a_full_disk_while_tuning_is_told_and_loses_nothing_acknowledged(tmp_path):
    """The database may grow to 200 KiB: the study ends with exit 4, and what was stored is there."""
    db = tmp_path / "small.db"
    job = [*TUNE, *GEMM, "64x64x64", "--trials", "400", "--db", f"sqlite:///{db}"]
    script = 'ulimit -f 400; exec "$@" '
    done = subprocess.run(
        ["bash", "-c", script, "bash", *job], capture_output=True, text=True, timeout=200, check=False, env=os.environ
    )
    assert done.returncode in (4, 5), done.stderr
    assert "Traceback" not in done.stderr
    with sqlite3.connect(db) as stored:
        assert stored.execute("pragma integrity_check").fetchone() == ("ok",)
    stored.close()


def test_a_bug_of_ours_is_said_as_such():
    """Exit 1, the traceback, and where to report it."""
    code = (
        "import sys; sys.argv = ['tune', 'doctor'];"
        "from kerntune.tuner.cli import doctor, main; doctor._python = lambda: 1 / 0; main.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert done.stderr.strip().endswith("Please report it with the lines above: CONTRIBUTING.md says where.")
