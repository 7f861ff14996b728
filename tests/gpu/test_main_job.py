"""The main job on a GPU: the real command, a real device."""

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.gpu, pytest.mark.triton]


def answer(*arguments):
    run = [sys.executable, "-m", "kerntune.tuner.cli", *arguments, "--json"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_gpu_is_tuned_by_default_and_answers_from_the_cache():
    """bf16 where nothing is said, beside the vendor library; the second time nothing is measured."""
    job = ("gemm", "--shape", "512x384x256", "--trials", "8")
    first = answer(*job)
    assert first["target"]["kind"] == "gpu"
    assert first["problem"]["dtype"] == "bf16"
    assert first["template"] in first["spaces"]
    assert first["trials"]["measured"] >= 6
    assert first["baseline"]["name"].startswith(("torch.mm (cublas", "cupy.matmul"))
    second = answer(*job)
    assert second["cached"]
    assert second["config"] == first["config"]
    assert second["seconds"] < 1
    found = answer("lookup", "gemm", "--shape", "512x384x256")
    assert (found["config"], found["match"]) == (first["config"], "exact")


@pytest.mark.parametrize("layout", ["nn", "tt"])
def test_rows_that_are_not_aligned_are_copied_and_come_out_right(layout):
    """The copy runs before the product at every call, in the check and in the graph alike."""
    found = answer("gemm", "--shape", "129x1001x77", "--layout", layout, "--trials", "12")
    assert found["trials"]["failed"] == 0
