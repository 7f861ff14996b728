"""Child side of the Triton backend: source file in, cubin and what it uses out. No GPU is touched.

A request names files, not code: `source`, `cubin` and `cache`, and `ptx` where that is wanted too, beside `entry`,
`signature`, `divisibility`, `options` and `arch`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from ...templates.tensor_map import SWIZZLES
from .ptxas_log import resources

Message = dict[str, Any]

FACTS = ("shared", "global_scratch_size", "profile_scratch_size")
"""What of Triton's metadata the loader must know: dynamic shared memory and workspaces, bytes."""


def compile_source(request: Message) -> Message:
    """The reply to a compile request; with no source in it, only Triton is loaded, so that no candidate pays for it.

    Raises: OSError where a file cannot be written, and whatever a compiler pass makes of the source.
    """
    if "source" not in request:
        import triton

        return {"ok": True, "triton": triton.__version__}
    os.environ["TRITON_CACHE_DIR"] = request["cache"]  # read at each compile; removed with the study's folder
    if "ptx" in request:
        os.environ["TRITON_STORE_BINARY_ONLY"] = "0"
    log = io.StringIO()
    with contextlib.redirect_stdout(log):
        facts = _compile(request)
    return facts | resources(log.getvalue())


def _compile(request: Message) -> Message:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = getattr(_module(Path(request["source"])), request["entry"])
    # By position: an argument is called after its buffer, a parameter as the source pleases.
    signature = dict(zip(kernel.arg_names, request["signature"].values(), strict=True))
    attrs = {(place,): [["tt.divisibility", by]] for place, by in enumerate(request["divisibility"].values())}
    source = ASTSource(fn=kernel, signature=signature, constexprs={}, attrs=attrs)
    target = GPUTarget("cuda", request["arch"], 32)
    compiled = triton.compile(source, target=target, options=request["options"])
    Path(request["cubin"]).write_bytes(compiled.asm["cubin"])
    if "ptx" in request:
        Path(request["ptx"]).write_text(compiled.asm["ptx"])
    facts = {name: int(getattr(compiled.metadata, name, 0) or 0) for name in FACTS}
    maps = [_map_facts(made) for made in getattr(compiled.metadata, "tensordesc_meta", None) or ()]
    named = {"entry": compiled.metadata.name, "num_warps": int(compiled.metadata.num_warps)}
    return {**facts, **named, "tensor_maps": maps}


def _map_facts(made: Message) -> Message:
    """The box and swizzle that a descriptor's TensorMap must have; a block may be copied in several boxes."""
    if made["fp4_padded"]:
        raise ValueError("a descriptor of padded fp4 elements, which kerntune cannot map")
    return {"box": [int(size) for size in made["block_size"]], "swizzle": SWIZZLES[made["swizzle"]]}


def _module(path: Path) -> ModuleType:
    """The rendered file as a module: Triton reads a kernel's source from its file."""
    spec = importlib.util.spec_from_file_location(f"kerntune_rendered_{path.stem.replace('-', '_')}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = bytecode
    return module


def first_useful_line(error: Exception) -> str:
    """What went wrong and where, without the source around it: Triton's messages quote the kernel first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and set(line.strip()) != {"^"}]
    said = next(
        (line for line in lines if re.match(r"(ptxas )?(error|fatal|info .*error)\b", line)), lines[-1] if lines else ""
    )
    where = f" ({lines[0].rstrip(':')})" if lines and re.match(r"at \d+:\d+", lines[0]) else ""
    return f"{type(error).__name__}: {said}{where}"[:500]
