"""The kernel environment: Jinja that refuses what is undefined and keeps what looks like a template in C or PTX."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_PACKAGE = __name__.rpartition(".")[0]


@lru_cache
def source_text(op: str, source: str) -> str:
    """Text of a template file in this room, such as ("gemm", "c_tiled.c.jinja")."""
    return files(_PACKAGE).joinpath(op, source).read_text(encoding="utf-8")


@lru_cache
def whole_text(op: str, source: str) -> str:
    """The text of a template file and, after it, those of the files it imports from the same folder."""
    text = source_text(op, source)
    imported = re.findall(r"""[{@]%-?\s*import\s+"([^"]+)\"""", text)
    return "\n".join([text, *(whole_text(op, name) for name in imported)])


@lru_cache
def _environment(op: str, suffix: str) -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # 0.1 s that an answer from the cache does without

    # CUDA sources hold inline PTX, whose "{%3, %4}" and "{{" are Jinja's own words (docs/measured_facts.md).
    own: dict[str, Any] = {}
    if suffix == "cu":
        own = {"block_start_string": "@%", "block_end_string": "%@", "comment_start_string": "@#"}
        own |= {"variable_start_string": "@{", "variable_end_string": "}@", "comment_end_string": "#@"}
    return Environment(
        loader=FunctionLoader(lambda name: source_text(op, name)),  # of what a template imports
        undefined=StrictUndefined,
        trim_blocks=suffix != "cu",  # in CUDA it would join `#pragma` lines
        lstrip_blocks=suffix != "cu",
        keep_trailing_newline=True,
        autoescape=False,  # kernels, not pages: every value comes from a checked Space or Problem
        **own,
    )


@lru_cache
def _compiled(op: str, source: str) -> Any:
    return _environment(op, source.split(".")[-2]).from_string(source_text(op, source))


def render(op: str, source: str, **values: Any) -> str:
    """The source of one kernel. Raises: jinja2.UndefinedError for a name the template reads and nobody gave."""
    text: str = _compiled(op, source).render(**values)
    return text
