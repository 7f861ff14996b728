"""Target: where a problem is computed, and with which tools.

Identity is what stays: device, limits, toolchain. Readings that move (clock, temperature, free memory) are not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Literal

from .canonical import digest
from .errors import UsageError

DeviceKind = Literal["cpu", "gpu"]


@dataclass(frozen=True, slots=True)
class Cpu:
    """A processor as this process may use it."""

    model: str
    isa: tuple[str, ...]  # instruction sets that change code, sorted: avx2, avx512f, fma …
    cores: int  # usable under affinity and quota
    threads: int  # threads a kernel runs with
    l1d_bytes: int  # of one core
    l2_bytes: int  # of one core
    l3_bytes: int  # of one socket; 0 where there is none

    @property
    def name(self) -> str:
        return self.model

    @property
    def vector_bytes(self) -> int:
        """Width of one vector register."""
        if "avx512f" in self.isa:
            return 64
        return 32 if "avx" in self.isa else 16

    @property
    def vector_registers(self) -> int:
        """Vector registers one core names: 32 with AVX-512 and on 64-bit Arm, else 16."""
        return 32 if "avx512f" in self.isa or "asimd" in self.isa else 16


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or the MIG slice of one."""

    name: str
    arch: str  # sm_90
    sm_count: int
    smem_per_block_bytes: int  # a block may opt in to
    registers_per_sm: int  # 32-bit
    l2_bytes: int
    memory_bytes: int
    bandwidth_gbs: int  # of memory, GB/s, from clock and bus width
    power_limit_w: int  # enforced
    mig: bool


Device = Cpu | Gpu

SOFT_DEVICE_FIELDS = frozenset({"power_limit_w"})
"""Device fields that an administrator moves: a difference makes a time stale, not another device's."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """What compiled and launched a kernel; None where a tool has no part in it."""

    driver: str | None = None
    cuda: str | None = None
    triton: str | None = None
    nvrtc: str | None = None
    compiler: str | None = None
    flags: str | None = None


TOOLCHAIN_FIELDS = tuple(field.name for field in fields(Toolchain))


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two targets differ, field by field: `field: this one, that one`."""

    hard: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()

    @property
    def verdict(self) -> Literal["same", "soft", "hard"]:
        if self.hard:
            return "hard"
        return "soft" if self.soft else "same"


@dataclass(frozen=True)
class Target:
    """A device and the toolchain it is used with."""

    device: Device
    toolchain: Toolchain

    @property
    def kind(self) -> DeviceKind:
        return "cpu" if isinstance(self.device, Cpu) else "gpu"

    @property
    def name(self) -> str:
        return self.device.name

    def fields(self) -> dict[str, Any]:
        """Every identity field by name, device first."""
        return {"kind": self.kind, **_plain(asdict(self.device)), **asdict(self.toolchain)}

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "device": _plain(asdict(self.device)), "toolchain": asdict(self.toolchain)}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Target:
        """The target `as_dict` described. Raises: UsageError for anything else."""
        try:
            device_data: dict[str, Any] = {
                name: tuple(v) if isinstance(v, list) else v for name, v in data["device"].items()
            }
            device: Device = Cpu(**device_data) if data["kind"] == "cpu" else Gpu(**device_data)
            return Target(device, Toolchain(**data["toolchain"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"not a target: {error}. A target has kind, device and toolchain.") from None

    @cached_property
    def digest(self) -> str:
        return digest(self.fields())

    def symbols(self) -> dict[str, int | str | bool]:
        """What `target.*` binds to."""
        bound: dict[str, int | str | bool] = {
            name: value for name, value in self.fields().items() if isinstance(value, int | str | bool)
        }
        if isinstance(self.device, Cpu):
            bound |= {"vector_bytes": self.device.vector_bytes, "vector_registers": self.device.vector_registers}
        return bound

    def compare(self, other: Target) -> Comparison:
        """What differs from `other`: hard for the device, soft for the toolchain and the power limit."""
        here, there = self.fields(), other.fields()
        hard: list[str] = []
        soft: list[str] = []
        for name in here | there:
            if here.get(name) != there.get(name):
                soft_field = name in TOOLCHAIN_FIELDS or name in SOFT_DEVICE_FIELDS
                (soft if soft_field else hard).append(f"{name}: {_said(here, name)} here, {_said(there, name)} stored")
        return Comparison(tuple(hard), tuple(soft))


def _said(known: Mapping[str, Any], name: str) -> str:
    value = known.get(name)
    if isinstance(value, list):
        return "+".join(value)
    return str(value)


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in data.items()}
