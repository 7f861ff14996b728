"""The GEMM suite counts what it should and loses nothing, whatever cuts it short; engine and vendor are made up."""

import json
import math
import xml.etree.ElementTree as ET
from importlib import import_module
from pathlib import Path

import pytest
from kerntune.cache.records import Failure
from kerntune.spaces.errors import DeviceError
from kerntune.tuner.hosts import Host

from .builders import a_target
from .fakes import FakeEngine

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
with pytest.MonkeyPatch.context() as patched:
    patched.syspath_prepend(BENCHMARKS)
    gemm, suite, problems, gemm_reports, reports, pictures = [
        import_module(name)
        for name in (
            *("gemm_suite", "suite", "gemm_suite_problems", "gemm_suite_report", "suite_report", "suite_picture"),
        )
    ]

SMALL = ["64x48x32", "32x64x48"]
LT, CUBLAS = ("torch.mm (cublaslt)", 9.0, None), ("torch.mm (cublas)", 12.0, "element [0, 0] is 1, should be 2")


class Machine:
    """Opens hosts whose engines are made up, and counts them; each config takes 10 µs."""

    def __init__(self, **target):
        self.target = a_target(**target)
        self.vendors, self.judge = [LT, CUBLAS], lambda config: 10.0
        self.opened = self.closed = self.engines = 0
        self.fails_at = None

    def __call__(self, name):
        self.opened += 1
        return Host(self.target, frozenset({"triton"}), self._engine, lambda: 1 << 40, {}, self._close)

    def _engine(self, problem, policy):
        self.engines += 1
        if self.engines == self.fails_at:
            raise DeviceError("it is gone")
        engine = FakeEngine(self.judge)
        engine.vendors = self.vendors
        return engine

    def _close(self):
        self.closed += 1


@pytest.fixture
def bench(tmp_path):
    """A function (machine, *flags) -> the report; two small problems in two layouts, four trials each."""
    data = {"gemm_bf16": {"layouts": ["nt", "nn"], "mnk": [[int(n) for n in one.split("x")] for one in SMALL]}}
    (tmp_path / "suite.json").write_text(json.dumps({**data, "gemm_other": []}))
    fixed = [
        "--suite",
        tmp_path / "suite.json",
        "--db",
        tmp_path / "s.db",
        "--out",
        tmp_path / "out.json",
        "--warm-up",
        0,
    ]

    def run(machine, *flags):
        words = [*fixed, "--trials", "4", "--template", "triton_tiled", "--rounds", "8", *flags]
        suite.main(gemm.GEMM, list(map(str, words)), open_host=machine)
        return json.loads((tmp_path / "out.json").read_text())

    run.folder = tmp_path
    return run


def a_result(ratio=1.1, spread=0.01, m=4096, n=4096, k=4096, dtype="bf16", layout="nt", tbs=1.0, **more):
    """A line of the report."""
    return {
        **{"problem": f"{m}x{n}x{k} {dtype} {layout}", "m": m, "n": n, "k": k, "dtype": dtype, "layout": layout},
        **{"ratio": ratio, "interval": [ratio - spread, ratio + spread], "tbs": tbs},
        **more,
    }


def test_the_problems_are_those_of_the_issue():
    """19 shapes in two layouts, and eight of other types."""
    asked = problems.entries()
    assert len(asked) == len({entry.name for entry in asked}) == 38 + 8
    assert [entry.name for entry in problems.entries(["other"], shapes=["4096x4096x4096"])] == [
        *("4096x4096x4096 fp32 nn", "4096x4096x4096 tf32 nn"),
        *("4096x4096x4096 int8 nt", "4096x4096x4096 fp8 nt"),
    ]


def test_each_problem_has_its_winner_and_every_way_of_the_vendors(bench):
    """In a playoff of as many rounds as were asked for, by one host."""
    machine = Machine()
    report = bench(machine, "--picture", bench.folder / "pictures" / "p.svg")
    assert (machine.opened, machine.closed) == (1, 1)
    assert [result["problem"] for result in report["results"]] == [f"{s} bf16 {t}" for s in SMALL for t in ("nt", "nn")]
    result = report["results"][0]
    assert (result["us"], result["vendor"], result["vendor_us"], result["rounds"]) == (10.0, LT[0], 9.0, 8)
    assert (result["ratio"], result["interval"]) == (0.9, [0.9, 0.9])
    ways = [(way["name"], way["speedup"], way["fault"]) for way in result["vendors"]]
    assert ways == [(LT[0], 0.9, None), (CUBLAS[0], 1.2, CUBLAS[2])]
    assert result["left_out"] == {"refuses": "RuntimeError: not here"}
    assert (result["template"], sum(result["trials"].values())) == ("triton_tiled", 4)
    assert result["tflops"] == round(2 * 64 * 48 * 32 / 10.0 / 1e6, 2)
    assert result["seconds"].keys() == {"tune", "final"}
    assert report["missing"] == []
    assert report["summary"]["bf16"]["geometric_mean"] == 0.9
    assert report["command"].startswith("python benchmarks/gemm_suite.py --suite suite.json --db s.db")
    assert str(bench.folder) not in json.dumps(report)
    ET.parse(bench.folder / "pictures" / "p.svg")


def test_a_second_run_measures_nothing(bench):
    """No device is opened for what the log has."""
    first = bench(Machine())
    machine = Machine()
    assert bench(machine)["results"] == first["results"]
    assert machine.opened == 0


def test_a_small_problem_that_is_forgotten_goes_first(bench):
    """The first problem has no less than the others; neither the database nor the report knows of the warm-up."""
    plain, warmed = Machine(), Machine()
    report = bench(plain)
    again = bench(warmed, "--warm-up", 0.01, "--db", bench.folder / "other.db")
    assert warmed.engines == plain.engines + 1
    assert [result["problem"] for result in again["results"]] == [result["problem"] for result in report["results"]]
    assert b'"m":512' not in (bench.folder / "other.db").read_bytes()


def test_a_run_that_is_cut_goes_on_where_it_was(bench):
    """Lines of finished problems stay; one that was cut short is measured again, and the lines behind it are read."""
    whole = bench(Machine())
    log = bench.folder / "out.jsonl"
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines[:2], lines[2][:50]]))
    cut = Machine()
    again = bench(cut)
    assert cut.engines == 2  # two problems whose winners the database knows: one playoff each
    assert [result["us"] for result in again["results"]] == [result["us"] for result in whole["results"]]
    machine = Machine()
    bench(machine)
    assert machine.opened == 0


def test_other_settings_are_another_run(bench):
    """A result of 8 rounds is none of 9; both stay in the log."""
    bench(Machine(), "--shape", SMALL[0])
    other = bench(Machine(), "--shape", SMALL[0], "--rounds", "9")
    assert {result["rounds"] for result in other["results"]} == {9}
    assert len((bench.folder / "out.jsonl").read_text().splitlines()) == 4


def test_the_limit_ends_a_run_before_a_problem_that_would_not_fit(bench, capsys):
    """What is missing is said; without any time it only reports."""
    machine = Machine()
    report = bench(machine, "--limit", "0")
    assert (machine.opened, report["results"], len(report["missing"])) == (0, [], 4)
    assert "4 problems are left" in capsys.readouterr().err


def test_a_problem_that_cannot_be_says_why_and_is_tried_again(bench, capsys):
    """The others go on; a device that failed may be back."""
    machine = Machine()
    machine.fails_at = 1
    first = bench(machine)
    assert first["results"][0]["error"] == "DeviceError: it is gone"
    assert first["missing"] == [first["results"][0]["problem"]]
    assert first["summary"]["bf16"] | {"problems": 4, "compared": 3} == first["summary"]["bf16"]
    assert "DeviceError: it is gone" in capsys.readouterr().out
    assert bench(Machine())["missing"] == []


def test_nothing_that_runs_is_an_error_of_the_problem(bench):
    """Not of the suite."""
    machine = Machine()
    machine.judge = lambda config: Failure("compile", "no")
    assert all("none worked" in result["error"] for result in bench(machine)["results"])


def test_ctrl_c_keeps_what_is_known(bench, monkeypatch):
    """The report is written all the same."""
    measured, done = suite.measured, []

    def interrupted(of, entry, given, host):
        if done:
            raise KeyboardInterrupt
        done.append(entry)
        return measured(of, entry, given, host)

    monkeypatch.setattr(suite, "measured", interrupted)
    machine = Machine()
    report = bench(machine)
    assert (len(report["results"]), len(report["missing"]), machine.closed) == (1, 3, 1)


def test_without_a_vendor_there_is_no_ratio(bench):
    """The problem has its time, and stays out of the means."""
    machine = Machine()
    machine.vendors = []
    report = bench(machine)
    assert {result["ratio"] for result in report["results"]} == {None}
    assert report["summary"]["bf16"] == {"problems": 4, "compared": 0}


def test_the_roofline_is_the_longer_of_computing_and_moving():
    """Of devices whose peak is known."""
    large = reports.roofline_us("NVIDIA H200", "bf16", 2 * 4096**3, 3 * 2 * 4096**2, 4800)
    assert large == pytest.approx(2 * 4096**3 / 989.4e6)
    assert reports.roofline_us("NVIDIA H200", "bf16", 2 * 4096**2, 2 * 4096**2, 4800) == pytest.approx(
        2 * 4096**2 / 4.8e6
    )
    assert reports.roofline_us("GPU X", "bf16", 1, 1, 1) is None


def test_means_are_geometric_and_counts_are_by_the_interval():
    """1.25 and 0.8 cancel; 0.995 may be 1, 0.985 may not."""
    found = gemm_reports.summary([a_result(1.25), a_result(0.8), a_result(0.995), a_result(0.985), a_result(1.005)])[
        "bf16"
    ]
    mean = math.exp(sum(map(math.log, (1.25, 0.8, 0.995, 0.985, 1.005))) / 5)
    assert found["geometric_mean"] == pytest.approx(mean, abs=1e-4)
    assert (found["median_at_least_1"], found["interval_reaches_1"], found["interval_above_1"]) == (2, 3, 1)
    assert found["minimum"]["ratio"] == 0.8


def test_decoding_needs_the_vendors_time_and_the_memorys_rate():
    """Up to 64 rows; 85 % of 4.3 TB/s."""
    rows = [a_result(1.2, m=m, n=28672, tbs=tbs) for m, tbs in ((64, 3.7), (64, 3.6), (65, 0.1))]
    found = gemm_reports.summary([*rows, a_result(0.98, m=1, tbs=4.0)])["bf16"]
    assert [one["met"] for one in found["decode"]] == [True, False, False]
    assert not found["targets"]["decode"]


def test_targets_are_those_that_were_set():
    """Of bf16 five; of other types a least ratio each."""
    good = [a_result(1.25, m=m, n=m, k=m) for m in (1024, 2048, 4096)]
    found = gemm_reports.summary([*good, a_result(0.99, dtype="fp32"), a_result(1.2, dtype="int8")])
    assert set(found["bf16"]["targets"].values()) == {True}
    assert found["bf16"]["large_squares"].keys() == {"2048x2048x2048 bf16 nt", "4096x4096x4096 bf16 nt"}
    assert (found["fp32"]["targets"], found["int8"]["targets"]) == ({"each >= 0.95": True}, {"each >= 1.3": False})


def test_the_picture_has_a_row_for_each_ratio():
    """Well-formed, with names escaped; what has no ratio is not drawn."""
    rows = [a_result(0.9), a_result(7.5, layout="nn"), {"problem": "x", "ratio": None}]
    drawn = ET.fromstring(pictures.svg(rows, "GEMM <on> a device"))
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "4096x4096x4096 bf16 nn" in texts
    assert "7.500" in texts
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}circle"))) == 2
