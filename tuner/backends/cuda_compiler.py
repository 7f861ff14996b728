"""Child side of the CUDA backend: source file in, cubin and what it uses out, through NVRTC. No GPU is touched.

A request names files, not code: `source` and `cubin`, and `ptx` where that is wanted too, beside `entry`, `arch` and
`options`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .ptxas_log import resources

Message = dict[str, Any]

SOURCE_NAME = b"kernel.cu"
"""What messages call the source: its own name would be another one for every config."""


class CompileError(Exception):
    """NVRTC refuses the source; the message is its log."""


def compile_source(request: Message) -> Message:
    """The reply to a compile request; with no source in it, only NVRTC is loaded, so that no candidate pays for it.

    What is not the source's fault is an `incident`. Raises: OSError where a file cannot be read or written,
    CompileError where NVRTC refuses the source.
    """
    from cuda.bindings import nvrtc

    if "source" not in request:
        return {"ok": True, "nvrtc": "{1}.{2}".format(*nvrtc.nvrtcVersion())}
    source = Path(request["source"]).read_bytes()
    options = [f"--gpu-architecture={request['arch']}", *request["options"]]
    status, program = nvrtc.nvrtcCreateProgram(source, SOURCE_NAME, 0, [], [])
    if int(status) != 0:
        return _incident(status, "")
    try:
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
        log = _log(nvrtc, program)
        if status == nvrtc.nvrtcResult.NVRTC_ERROR_COMPILATION:
            raise CompileError(log)
        if int(status) != 0:
            return _incident(status, log)
        cubin = bytes(_filled(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program))
        if "ptx" in request:
            ptx = bytes(_filled(nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX, program))
            Path(request["ptx"]).write_bytes(ptx.rstrip(b"\0"))
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    if f"entry function '{request['entry']}'" not in log:  # ptxas -v names what it compiles
        raise CompileError(f'error: there is no extern "C" kernel {request["entry"]}')
    Path(request["cubin"]).write_bytes(cubin)
    return dict(resources(log))


def first_useful_line(error: Exception) -> str:
    """What went wrong and where: the first error of a log, without the source around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    found = (line for line in lines if re.search(r"\b(error|fatal)\b\s*:", line))
    said = next(found, lines[0] if lines else type(error).__name__)
    return (said if isinstance(error, CompileError) else f"{type(error).__name__}: {said}")[:500]


def _log(nvrtc: Any, program: Any) -> str:
    return bytes(_filled(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program)).decode(errors="replace")


def _filled(size_of: Any, read: Any, program: Any) -> bytearray:
    """What one of NVRTC's pairs of calls gives: its size, then its bytes."""
    _, size = size_of(program)
    data = bytearray(size)
    read(program, data)
    return data


def _incident(status: Any, log: str) -> Message:
    reason = f"{status.name}: {first_useful_line(CompileError(log))}"
    return {"incident": {"kind": "compiler", "reason": reason}}
