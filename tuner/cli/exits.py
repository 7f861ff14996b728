"""Exit codes, and the one place where errors become a line on standard error."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import typer

from ...spaces.errors import DeviceError, KerntuneError, NetworkError, NoAnswer, StoreError, UsageError

# typer brings its own click from 0.29 on: the class is reached through a public name of either.
ClickException: Any = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")

OUR_BUG = 1
INTERRUPTED = 130
CODES: Mapping[type[KerntuneError], int] = {UsageError: 2, NoAnswer: 3, StoreError: 4, DeviceError: 5, NetworkError: 6}


def code_of(error: KerntuneError) -> int:
    """The exit code of the nearest class the table names."""
    return next((CODES[cls] for cls in type(error).__mro__ if cls in CODES), OUR_BUG)


def complain(text: str) -> None:
    """One message on standard error; control characters of foreign text do not reach the terminal."""
    typer.echo("".join(c if c.isprintable() or c == "\n" else "?" for c in text), err=True)


def guarded(app: Any) -> int:
    """Run the app; its exit code. What it does not expect is a bug of ours and goes on to `report_bug`."""
    try:
        result = app(standalone_mode=False)
        return result if isinstance(result, int) else 0
    except typer.Exit as done:
        return int(done.exit_code)
    except ClickException as error:
        error.show()
        return 2
    except KerntuneError as error:
        complain(f"{type(error).__name__}: {error}")
        return code_of(error)
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted; what was measured is kept, and the same command goes on from there")
        return INTERRUPTED
    except BrokenPipeError:  # `tune … | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """For sys.excepthook: the traceback, and where to send it. Python then ends with 1, which is OUR_BUG."""
    complain("".join(traceback.format_exception(kind, error, trace)))
    complain("This is a bug in kerntune. Please report it with the lines above: CONTRIBUTING.md says where.")
