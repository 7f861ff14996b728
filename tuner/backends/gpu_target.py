"""Which GPU this is. Asks the driver and NVML only: no CUDA context is made, no array library is loaded."""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
from threading import Thread
from typing import Any
from uuid import UUID

from ...spaces.errors import DeviceError
from ...spaces.targets import Gpu, Target, Toolchain

INSTALL_HINT = "pip install 'kerntune[gpu]' (CUDA 12 drivers: 'kerntune[gpu12]')"

_PACKAGES = {"triton": "triton", "cupy": "cupy-cuda13x", "cuda.bindings": "cuda-bindings", "pynvml": "nvidia-ml-py"}
"""What tuning on a GPU imports, and the package that brings it."""

_NVRTC_DISTRIBUTIONS = {"13": "nvidia-cuda-nvrtc", "12": "nvidia-cuda-nvrtc-cu12"}
"""Package of the NVRTC that a cuda-bindings of this major version loads first."""

NVRTC_HINT = (
    "NVRTC is not installed, so templates in CUDA C++ are left out: pip install 'kerntune[gpu]' (CUDA 12 drivers: "
    "'kerntune[gpu12]')."
)

_TRITON_DISTRIBUTIONS = ("triton", "pytorch-triton")
"""Under which names Triton is installed: its own, and that of PyTorch's nightly builds."""


def gpu_count() -> int:
    """GPUs CUDA shows this process (CUDA_VISIBLE_DEVICES counts); 0 where there is no driver. Needs no package."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def wake_driver() -> None:
    """Begin to load the CUDA driver beside whatever comes next: 0.2 s in which the interpreter is free to import."""
    Thread(target=gpu_count, daemon=True).start()


def missing_gpu_packages() -> list[str]:
    """Packages that tuning on a GPU needs and that are not installed, by the name pip knows."""
    return [package for module, package in _PACKAGES.items() if not _is_there(module)]


def gpu_target(index: int) -> Target:
    """The GPU that CUDA counts as `index` (under CUDA_VISIBLE_DEVICES) and the tools here.

    Raises: DeviceError where there is no such GPU, a package is missing, or a reading cannot be had.
    """
    if missing := missing_gpu_packages():
        raise DeviceError(f"{', '.join(missing)} not installed: {INSTALL_HINT}.")
    count = gpu_count()
    if index >= count:
        raise DeviceError(
            f"there is no cuda:{index}: CUDA shows {count or 'no'} GPU{'' if count == 1 else 's'} to this process. "
            "See nvidia-smi and CUDA_VISIBLE_DEVICES, or take --device cpu."
        )
    from cuda.bindings import driver

    device = _ok(driver.cuDeviceGet(index), "cuDeviceGet")
    uuid = _uuid(driver, device)
    power_limit_w, mig, driver_version = _from_nvml(uuid)
    gpu = Gpu(power_limit_w=power_limit_w, mig=mig, **_from_driver(driver, device))
    cuda = cuda_version_text(_ok(driver.cuDriverGetVersion(), "cuDriverGetVersion"))
    return Target(gpu, Toolchain(driver=driver_version, cuda=cuda, triton=triton_version(), nvrtc=nvrtc_version()))


def gpu_uuid(index: int) -> str:
    """What tells the GPU (or the MIG slice) from every other one. Raises: DeviceError."""
    from cuda.bindings import driver

    return str(_uuid(driver, _ok(driver.cuDeviceGet(index), "cuDeviceGet")))


def _uuid(driver: Any, device: Any) -> UUID:
    return UUID(bytes=bytes(_ok(driver.cuDeviceGetUuid(device), "cuDeviceGetUuid").bytes))


def bandwidth_gbs(memory_clock_khz: int, bus_bits: int) -> int:
    """Memory bandwidth, GB/s: two transfers a clock over the whole bus. Source: CUDA C++ Best Practices Guide, 8.2."""
    return 2 * memory_clock_khz * bus_bits // 8 // 1_000_000


def cuda_version_text(number: int) -> str:
    """`13.0` of the driver's 13000."""
    return f"{number // 1000}.{number % 1000 // 10}"


def triton_version() -> str:
    """The installed Triton's version, without importing it. Raises: DeviceError."""
    for name in _TRITON_DISTRIBUTIONS:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    raise DeviceError(f"triton names no version, so its kernels could not be told from another's: {INSTALL_HINT}.")


def nvrtc_version() -> str | None:
    """The version of the NVRTC that would be loaded, without loading it where a package brings it; None without one."""
    try:
        package = _NVRTC_DISTRIBUTIONS[importlib.metadata.version("cuda-bindings").partition(".")[0]]
        return importlib.metadata.version(package)
    except (KeyError, importlib.metadata.PackageNotFoundError):
        pass
    try:
        from cuda.bindings import nvrtc

        _, major, minor = nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError):  # cuda.bindings looks for the library of a CUDA toolkit, in vain
        return None
    return f"{major}.{minor}"


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the parent of a dotted name
        return False


def _from_driver(driver: Any, device: Any) -> dict[str, Any]:
    """What the CUDA driver knows of a device, by field of Gpu."""

    def read(name: str) -> int:
        key = getattr(driver.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return int(_ok(driver.cuDeviceGetAttribute(key, device), name))

    def known(name: str) -> int:
        return int(_known(read(name), name))

    name = _ok(driver.cuDeviceGetName(128, device), "cuDeviceGetName").split(b"\0")[0].decode()
    return {
        "name": _known(name, "name"),
        "arch": f"sm_{known('COMPUTE_CAPABILITY_MAJOR')}{read('COMPUTE_CAPABILITY_MINOR')}",
        "sm_count": known("MULTIPROCESSOR_COUNT"),
        "smem_per_block_bytes": known("MAX_SHARED_MEMORY_PER_BLOCK_OPTIN"),
        "registers_per_sm": known("MAX_REGISTERS_PER_MULTIPROCESSOR"),
        "l2_bytes": known("L2_CACHE_SIZE"),
        "memory_bytes": _known(_ok(driver.cuDeviceTotalMem(device), "cuDeviceTotalMem"), "memory size"),
        "bandwidth_gbs": bandwidth_gbs(known("MEMORY_CLOCK_RATE"), known("GLOBAL_MEMORY_BUS_WIDTH")),
    }


def _from_nvml(uuid: UUID) -> tuple[int, bool, str]:
    """Enforced power limit (W), whether this is a MIG slice, and the driver's version. Raises: DeviceError."""
    import pynvml

    try:
        pynvml.nvmlInit()
        try:
            handle, mig = _nvml_handle(pynvml, uuid)
            power_limit_w = round(pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000)
            return power_limit_w, mig, _known(_text(pynvml.nvmlSystemGetDriverVersion()), "driver version")
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        raise DeviceError(
            f"NVML does not say what GPU {uuid} is ({error}): see whether nvidia-smi works here."
        ) from None


def _nvml_handle(pynvml: Any, uuid: UUID) -> tuple[Any, bool]:
    """The NVML handle of the whole GPU a CUDA device is on, and whether the device is a MIG slice of it.

    By UUID, because NVML counts the GPUs of the machine and CUDA only those it is shown.
    """
    try:
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"), False
    except pynvml.NVMLError_NotFound:
        slice_handle = pynvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")
        return pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(slice_handle), True


def _ok(answer: tuple[Any, ...], what: str) -> Any:
    """The value of a driver call. Raises: DeviceError if it failed."""
    status, *values = answer
    if int(status) != 0:
        raise DeviceError(f"the CUDA driver answered {what} with {status.name}: see whether nvidia-smi works here.")
    return values[0]


def _known(value: Any, what: str) -> Any:
    """The reading. Raises: DeviceError if it is 0 or empty: unknown must not pass for known."""
    if not value:
        raise DeviceError(f"this GPU's driver does not say its {what}, so times could not be told from another GPU's.")
    return value


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
