"""ops.gemm on this machine's processor: tuned for real into a store of its own, then called."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from kerntune import lookup, ops, tune
from kerntune.spaces.errors import ProblemError, UsageError
from kerntune.tuner import settings

pytestmark = pytest.mark.compiler


@pytest.fixture(autouse=True)
def own_plans(monkeypatch):
    monkeypatch.delenv("KERNTUNE_DISABLE", raising=False)
    ops.forget()
    yield
    ops.forget()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store and binaries of 48 x 80 x 64 in nt, as two configs made them."""
    folder = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERNTUNE_CACHE_DIR", str(folder / "cache"))
        problem = {"m": 48, "n": 80, "k": 64, "layout": "nt"}
        tune("gemm", **problem, device="cpu", trials=2, time_s=20, db=f"sqlite:///{folder}/tuned.db")
    return folder


@pytest.fixture
def tuned(folder, monkeypatch):
    """What the store answers."""
    monkeypatch.setenv("KERNTUNE_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setenv("KERNTUNE_DB", f"sqlite:///{folder}/tuned.db")
    return lookup("gemm", m=48, n=80, k=64, layout="nt", device="cpu")


def arrays():
    rng = np.random.default_rng(0)
    return rng.standard_normal((48, 64), np.float32), rng.standard_normal((80, 64), np.float32)


def test_a_tuned_kernel_answers_numpy(tuned):
    """With the config the store knows; both spellings of one memory are one problem."""
    a, b = arrays()
    plan = ops.gemm_plan(a, b, layout="nt")
    assert (plan.kernel, plan.answer.config, plan.answer.match) == ("c_tiled", tuned.config, "exact")
    assert "c_tiled on cpu: tuned, exact match" in str(plan)
    for c in (ops.gemm(a, b, layout="nt"), ops.gemm(a, b.T), ops.gemm(a, b.T, out=np.empty((48, 80), np.float32))):
        assert np.allclose(c, a @ b.T, atol=1e-4)
    assert ops.gemm_plan(a, b.T).is_tuned


@pytest.mark.torch
def test_a_tuned_kernel_answers_torch(tuned):
    """The same kernel; a Parameter too, where no gradient is wanted."""
    import torch

    a, b = map(torch.tensor, arrays())
    weights = torch.nn.Parameter(b)
    with torch.no_grad():
        assert ops.gemm_plan(a, weights, layout="nt").is_tuned
        assert torch.allclose(ops.gemm(a, weights, layout="nt"), a @ b.T, atol=1e-4)
    assert not ops.gemm_plan(a, weights, layout="nt").is_tuned
    assert ops.gemm(a, weights, layout="nt").requires_grad


def test_what_is_tuned_may_be_left_aside(tuned, monkeypatch):
    """KERNTUNE_DISABLE=1."""
    monkeypatch.setenv("KERNTUNE_DISABLE", "1")
    plan = ops.gemm_plan(*arrays(), layout="nt")
    assert (plan.kernel, plan.reason) == ("numpy.matmul", "KERNTUNE_DISABLE is set")


def test_nothing_is_compiled_or_looked_up_after_the_first_call(tuned, monkeypatch):
    """The store may be gone by then."""
    a, b = arrays()
    ops.gemm(a, b, layout="nt")
    monkeypatch.setenv("KERNTUNE_DB", "sqlite:////nowhere/at/all.db")
    monkeypatch.setattr(subprocess, "Popen", None)
    assert np.allclose(ops.gemm(a + 1, b, layout="nt"), (a + 1) @ b.T, atol=1e-3)


def test_a_store_that_cannot_be_opened_leaves_the_vendor(monkeypatch):
    """And a warning."""
    monkeypatch.setenv("KERNTUNE_DB", "sqlite:////proc/nothing/here.db")
    a, b = arrays()
    with pytest.warns(RuntimeWarning, match="runs the vendor library"):
        assert np.allclose(ops.gemm(a, b, layout="nt"), a @ b.T, atol=1e-4)


def test_threads_may_call_one_kernel_at_once(tuned):
    """It packs into a buffer of its own."""
    a, b = arrays()
    ops.gemm(a, b, layout="nt")
    wrong = []

    def work(seed):
        mine = np.random.default_rng(seed).standard_normal(a.shape, np.float32)
        for _ in range(200):
            if not np.allclose(ops.gemm(mine, b, layout="nt"), mine @ b.T, atol=1e-4):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_read_only_inputs_are_taken_and_a_read_only_out_is_not(tuned):
    """Though a call like it was planned before."""
    a, b = arrays()
    a.setflags(write=False)
    out = np.empty((48, 80), np.float32)
    ops.gemm(a, b, layout="nt", out=out)
    out.setflags(write=False)
    with pytest.raises(ProblemError, match="out is read-only"):
        ops.gemm(a, b, layout="nt", out=out)


def test_only_yes_and_no_are_words_of_kerntune_disable():
    """A typo must not run what was to be left aside."""
    assert settings.read({"KERNTUNE_DISABLE": "1"}).disabled
    assert not settings.read({"KERNTUNE_DISABLE": "0"}).disabled
    with pytest.raises(UsageError, match='KERNTUNE_DISABLE is "yes": it takes 1'):
        settings.read({"KERNTUNE_DISABLE": "yes"})


def test_importing_kerntune_loads_neither_ops_nor_an_array_library():
    """The root is lazy."""
    code = (
        "import sys, kerntune; early = set(sys.modules); kerntune.ops.gemm;"
        "assert 'kerntune.tuner.ops' not in early; assert 'torch' not in sys.modules and 'cupy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
