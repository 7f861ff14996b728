"""What is said beside an answer: bars, counts and notes, on standard error."""

import io
import subprocess
import sys

import pytest
from kerntune.tuner.cli.progress import put_away
from kerntune.tuner.cli.words import count_of
from rich.console import Console
from rich.progress import Progress


def test_a_bar_whose_start_was_interrupted_is_put_away(monkeypatch):
    """Ctrl-C may fall anywhere; the cursor comes back."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True)
    bar = Progress(console=console)

    def interrupted(hook):
        raise KeyboardInterrupt

    monkeypatch.setattr(console, "push_render_hook", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bar.start()
    put_away(bar)
    assert screen.getvalue().endswith("\x1b[?25h")


def test_one_is_one():
    """Counts are told as people say them."""
    counts = [count_of(range(count), "trial") for count in (1, 2, 1200)]
    assert counts == ["1 trial", "2 trials", "1,200 trials"]


def test_a_rule_that_the_sampler_cannot_serve_is_said():
    """--min-gain waits for what only some samplers foretell."""
    words = ["gemm", "--shape", "8x8x8", "--device", "cpu", "--dtype", "bf16", "--min-gain", "0.01"]
    for sampler, said in (("random", True), ("ranked", False)):
        tune = [sys.executable, "-m", "kerntune.tuner.cli", *words, "--sampler", sampler]
        done = subprocess.run(tune, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (3, "")
        assert (f'note: "{sampler}" does not say what it expects to gain' in done.stderr) is said
