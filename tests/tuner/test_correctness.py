"""The check of a kernel, with kernels written in Python on the processor's own device."""

import ctypes

import numpy as np
import pytest
from kerntune.cache.records import Failure, Policy
from kerntune.spaces.errors import DeviceError
from kerntune.templates.catalogue import op_named
from kerntune.templates.op import Buffer
from kerntune.tuner.measure import child as children
from kerntune.tuner.measure.child import Child
from kerntune.tuner.measure.correctness import Right, check
from kerntune.tuner.measure.cpu_device import CpuDevice
from kerntune.tuner.measure.cuda_random import random_bytes
from kerntune.tuner.measure.device import Strayed
from kerntune.tuner.measure.guards import BandedSet
from kerntune.tuner.measure.protected_pages import PagedSet
from kerntune.tuner.measure.workload import Workload

GEMM = op_named("gemm")
WARM = Policy("warm", "eager")


def a_workload(m=33, n=20, k=17, device=None) -> Workload:
    return Workload(GEMM, GEMM.problem("cpu", m=m, n=n, k=k), WARM, device or CpuDevice(), seed=1)


def right(arrays) -> None:
    np.matmul(arrays["a"], arrays["b"], out=arrays["c"])


def write(arrays, name: str, offset: int, count: int) -> None:
    """Bytes at an offset from an array's start."""
    ctypes.memset(arrays[name].ctypes.data + offset, 1, count)


def test_a_right_kernel_is_right_and_deterministic():
    """Twice the same bits."""
    assert check(a_workload(), right, seed=3) == Right(deterministic=True)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (lambda c: c.nbytes + 64, "wrote 12 bytes past the end of c, first at +64"),
        (lambda c: -16, "wrote 12 bytes before the start of c, first at -8"),
        (lambda c: c.nbytes, "wrote 12 bytes past the end of c, first at +0"),
    ],
)
@pytest.mark.parametrize("shape", [(33, 20, 17), (64, 64, 64), (1, 1, 1)])
def test_a_write_outside_an_array_is_told_with_its_place(where, said, shape):
    """A kernel whose answer is right may still corrupt what lies beside it."""

    def stray(arrays):
        right(arrays)
        write(arrays, "c", where(arrays["c"]), 12)

    with pytest.raises(Strayed, match="^" + said.replace("+", r"\+") + "$"):
        check(a_workload(*shape), stray, seed=3)


def test_a_kernel_that_writes_its_input_is_incorrect():
    """The next kernel would read something else."""

    def spoils(arrays):
        right(arrays)
        arrays["b"][2, 5] = 0

    assert check(a_workload(), spoils, 3) == Failure("incorrect", "wrote its input b: 1 elements, first [2, 5]")


def test_what_is_read_past_an_end_poisons_the_result():
    """A masked load that multiplies by zero is no mask."""

    def reads(arrays):
        right(arrays)
        outside = ctypes.c_float.from_address(arrays["a"].ctypes.data + arrays["a"].nbytes).value
        arrays["c"][0, 0] += np.float32(0 * outside)

    outcome = check(a_workload(), reads, 3)
    assert outcome.kind == "incorrect"
    assert outcome.reason.startswith("1 of 660 elements are NaN or infinite")


@pytest.mark.parametrize("shape", [(33, 20, 17), (64, 64, 64)])
def test_runs_that_differ_within_the_tolerance_are_right_but_not_deterministic(shape):
    """Sums in the order of arrival are allowed, and told."""
    turns = []

    def rounds(arrays):
        right(arrays)
        turns.append(arrays)
        arrays["c"][0, 0] *= np.float32(1 + 2e-7 * len(turns))

    assert check(a_workload(*shape), rounds, 3) == Right(deterministic=False)


@pytest.mark.parametrize("wrong_run", [0, 1, 2])
def test_a_kernel_that_is_wrong_in_any_run_is_incorrect(wrong_run):
    """A race shows now and then."""
    turns = []

    def races(arrays):
        right(arrays)
        if len(turns) == wrong_run:
            arrays["c"][7, 7] += 1
        turns.append(arrays)

    outcome = check(a_workload(), races, 3)
    assert outcome.kind == "incorrect"
    assert outcome.reason.startswith("element [7, 7] is")


@pytest.mark.parametrize(("shape", "runs"), [((64, 64, 64), 2), ((33, 20, 17), 3)])
def test_arrays_that_fill_their_pages_need_two_runs_and_others_three(shape, runs):
    """Both ends touch protected pages at once where they can."""
    turns = []

    def counts(arrays):
        right(arrays)
        turns.append({name: array.ctypes.data % 4096 for name, array in arrays.items()})

    check(a_workload(*shape), counts, 3)
    assert len(turns) == runs
    assert turns[0] == turns[1] == dict.fromkeys("abc", 0)
    if runs == 3:
        assert turns[2] == {"a": 4096 - 33 * 17 * 4, "b": 4096 - 17 * 20 * 4, "c": 4096 - 33 * 20 * 4}


def test_the_rows_of_a_large_product_that_are_looked_at_hold_its_ends_and_tile_edges(monkeypatch):
    """A small error there is lost in the projections over all rows: it must be seen element by element."""
    from kerntune.templates.gemm import reference as gemm

    monkeypatch.setattr(gemm, "FULL_CHECK_FLOPS", 10**6)
    m, n, k = 3000, 50, 60
    problem = GEMM.problem("cpu", m=m, n=n, k=k)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape, dtype=np.float32) for shape in ((m, k), (k, n)))
    tolerance = GEMM.tolerance(problem)
    for row in (0, 1, 5, 6, 63, 64, 127, 128, 256, m - 2, m - 1, 2943, 2944, 2816):
        for column in (0, n - 1):
            c = a @ b
            c[row, column] += 2 * (tolerance.atol + tolerance.rtol * abs(c[row, column]))
            computed, expected = GEMM.evidence(problem, {"a": a, "b": b, "c": c}, np, np.random.default_rng(1))
            excess = abs(computed - expected) - tolerance.rtol * abs(expected) - tolerance.atol
            assert excess.max() > 0, (row, column)


@pytest.mark.parametrize("made", [lambda *args: BandedSet(np, *args), PagedSet])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.int32, np.uint16])
@pytest.mark.parametrize("shape", [(1,), (5, 7), (64, 64), (3, 5000)])
def test_every_kind_of_array_is_guarded_on_both_sides(made, dtype, shape):
    """The nearest element outside is a pattern that nobody writes, wherever the array stands."""
    name = {"float32": "fp32", "float16": "fp16", "uint16": "bf16"}.get(np.dtype(dtype).name, np.dtype(dtype).name)
    guarded = made([Buffer("x", shape, name, "output")], [dtype])
    guarded.arrays["x"][...] = 3
    for stand in guarded.stands:
        guarded.place(stand)
        array = guarded.arrays["x"]
        assert (array == 3).all()
        with guarded.shut():
            array[...] = 3
        assert guarded.stray() is None
        for offset, said in ((array.nbytes, "past the end of x, first at +0"), (-array.itemsize, "before the start")):
            write(guarded.arrays, "x", offset, 1)
            assert said in guarded.stray()
            guarded.place(stand)


def test_the_next_child_proves_its_device_before_anything_is_believed(monkeypatch):
    """A device that computes wrongly after a fault is an incident, and its process ends."""

    class Broken:
        def prove(self):
            raise DeviceError("it computes wrongly")

    monkeypatch.setattr(children, "open_device", lambda name: Broken())
    reply = Child(channel=None).answer({"do": "open", "device": "cuda:0"})
    assert reply == {"incident": {"kind": "device", "reason": "it computes wrongly"}, "last": True}


def test_a_processor_that_multiplies_wrongly_is_noticed(monkeypatch):
    """The reference and the vendor's times both trust BLAS."""
    CpuDevice().prove()

    class Off(np.ndarray):
        def __matmul__(self, other):
            return np.asarray(self) @ np.asarray(other) + (self.dtype == np.float32)

    arange = np.arange
    monkeypatch.setattr(np, "arange", lambda *args: arange(*args).view(Off))
    with pytest.raises(DeviceError, match="multiplies wrongly"):
        CpuDevice().prove()


def test_the_bytes_a_gpu_must_make_are_spread_over_all_values():
    """What a GPU proves itself with."""
    made = random_bytes(65536, 1)
    assert made.dtype == np.int8
    assert len(set(made.tolist())) == 256
    assert abs(made.mean()) < 2
