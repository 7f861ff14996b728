"""Text as Python's syntax tree: read and never run, with every trouble of the text a SpaceError."""

import ast
import re
import warnings

from .errors import SpaceError

QUOTED_CHARS = 100
"""Characters of a text that an error repeats."""

_MAY_WARN = re.compile(r"\\|\d\.?[A-Za-z]")
"""What Python's tokenizer warns of: unknown escapes, and a number with a keyword at its heels as in `1if`."""


def excerpt(text: str) -> str:
    """The text in double quotes as an error shows it: its beginning, on one line, in characters any terminal has."""
    shown = text if len(text) <= QUOTED_CHARS else f"{text[: QUOTED_CHARS - 1]}…"
    return f'"{shown if shown.isprintable() else shown.encode("unicode_escape").decode()}"'


def tree_of(text: str, max_chars: int, example: str) -> ast.expr:
    """The syntax tree of one expression. Raises: SpaceError for what is none, or longer than `max_chars`."""
    if not isinstance(text, str):
        raise SpaceError(f"{excerpt(str(text))} is no text. Example: {example}")
    if len(text) > max_chars:
        raise SpaceError(f"{excerpt(text)} has {len(text):,} characters: at most {max_chars:,} are read.")
    try:
        if _MAY_WARN.search(text) is None:
            return ast.parse(text.strip(), mode="eval").body
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # null bytes and lone surrogates are ValueErrors
        raise SpaceError(f"{excerpt(text)} is not an expression. Example: {example}") from None
