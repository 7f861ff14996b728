"""`tune revalidate` as a person uses it, with a real compiler that becomes another one."""

import json
import os
import subprocess
import sys

import pytest
from upgrades import upgraded

SHAPE = ["--shape", "96x64x48", "--device", "cpu"]


def tune(*words, cc=None):
    environ = {**os.environ, **({"CC": cc} if cc else {})}
    command = [sys.executable, "-m", "kerntune.tuner.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, env=environ)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.compiler
@pytest.mark.slow
def test_after_another_compiler_lookups_become_exact_again(tmp_path):
    """Stale after the upgrade; the old best few are timed anew; then exact, and a second time nothing is done."""
    newer = upgraded(tmp_path, "cc (Test) 99.1", "-O2")
    assert tune("gemm", *SHAPE, "--trials", "10", "--json").returncode == 0
    assert "stale" in tune("lookup", "gemm", *SHAPE, "--json", cc=newer).stdout
    planned = json.loads(tune("revalidate", "--device", "cpu", "--dry-run", "--json", cc=newer).stdout)
    assert [(one["state"], one["original_s"] > 0) for one in planned["problems"]] == [("waiting", True)]
    done = tune("revalidate", "--device", "cpu", "--time", "4", "--best", "3", "--json", cc=newer)
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)["problems"]
    assert (one["state"], 1 <= len(one["configs"]) <= 3) == ("renewed", True)
    assert any(words.startswith("compiler: cc (Test) 99.1 here") for words in one["differences"])
    answer = json.loads(tune("lookup", "gemm", *SHAPE, "--json", cc=newer).stdout)
    assert (answer["match"], answer["digest"]) == ("exact", one["digest"])
    again = tune("revalidate", "--device", "cpu", cc=newer)
    assert "1 exact in 0 s" in again.stdout


def test_nothing_known_is_nothing_to_do():
    """And no error: an upgrade of an empty machine is done."""
    done = tune("revalidate", "--device", "cpu")
    assert (done.returncode, "nothing to do" in done.stdout) == (0, True)


@pytest.mark.parametrize(("words", "said"), [(["gem"], 'Did you mean "gemm"?'), (["--best", "0"], "--best takes")])
def test_words_that_are_off_say_so(words, said):
    """Exit 2."""
    done = tune("revalidate", *words)
    assert (done.returncode, said in done.stderr) == (2, True)
