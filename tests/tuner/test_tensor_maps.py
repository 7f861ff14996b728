"""TMA descriptors from template to launch: compiled without a GPU, carried to the child, handed over in order."""

import ctypes
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from builders import a_target
from kerntune.cache.records import Failure
from kerntune.templates.template import Argument
from kerntune.templates.tensor_map import TensorMap
from kerntune.tuner.backends import triton as backend
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.binary_cache import BinaryCache
from kerntune.tuner.backends.cuda import CudaBackend
from kerntune.tuner.backends.instructions import find_disassembler, instruction_mix
from kerntune.tuner.backends.triton import TritonBackend
from kerntune.tuner.measure import tensor_maps
from kerntune.tuner.measure.cuda_kernels import parameters
from kerntune.tuner.measure.device import LaunchError
from kerntune.tuner.measure.tensor_maps import EncodedMaps, encode
from tma_kernels import copied_product, cuda_product, triton_product

TARGET = a_target(nvrtc="13.0.88")
A_MAP = TensorMap.row_major("a", "bf16", (131, 328), (128, 64), swizzle="128B")


def an_array(address=0x7F0000000000, nbytes=131 * 328 * 2):
    return SimpleNamespace(data=SimpleNamespace(ptr=address), nbytes=nbytes)


def arrays_of(artifact):
    names = {argument.tensor.buffer if argument.tensor else argument.name for argument in artifact.launch.arguments}
    return {name: an_array(4096 * (place + 1), 2**40) for place, name in enumerate(sorted(names))}


@pytest.fixture(scope="module")
def triton():
    """A compile process that all tests here share."""
    made = TritonBackend(TARGET, 1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def cuda():
    """The same, for CUDA C++."""
    made = CudaBackend(TARGET, 1)
    yield made
    made.close()


@pytest.fixture
def encoded(monkeypatch):
    """A driver's stand-in; the tensors and addresses it was asked for."""
    asked = []

    def encode(tensor, address):
        asked.append((tensor, address))
        return np.zeros(1, "V128")

    monkeypatch.setattr(tensor_maps, "encode", encode)
    return asked


def sizes_taken(cubin):
    """Bytes of each parameter of the last kernel in a cubin, in order."""
    program = Path(find_disassembler()).with_name("cuobjdump")
    text = subprocess.run([program, "-elf", cubin], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"Ordinal : 0x(\w+)\s+Offset\s+: 0x\w+\s+Size\s+: 0x(\w+)", text)
    return [int(size, 16) for _, size in sorted(found, key=lambda each: int(each[0], 16))]


def sizes_given(artifact):
    """Bytes of what the loader passes: an array as its address."""
    return [getattr(value, "itemsize", 8) for value in parameters(artifact)(arrays_of(artifact))]


@pytest.mark.triton
def test_descriptors_of_triton_become_tma_with_the_compilers_boxes(triton, tmp_path):
    """A block wider than the swizzle is copied in several boxes; the launch carries what the map must be."""
    artifact = triton.compile(triton_product(131, 200, 328), tmp_path)
    assert isinstance(artifact, Artifact)
    mapped = [argument.tensor for argument in artifact.launch.arguments if argument.tensor]
    assert [(tensor.box, tensor.swizzle) for tensor in mapped] == [
        ((128, 64), "128B"),
        ((64, 64), "128B"),
        ((128, 64), "128B"),
    ]
    mix = instruction_mix(artifact.path)
    assert mix["UTMALDG"] >= 3
    assert mix["UTMASTG"] >= 1
    assert mix["HGMMA"] > 0


@pytest.mark.triton
def test_an_artifact_with_descriptors_goes_through_json_and_the_binary_cache(tmp_path):
    """Another process and another day launch it alike."""
    made = []
    for _ in range(2):
        compilers = TritonBackend(TARGET, 1, BinaryCache(tmp_path / "binaries"))
        made.append(compilers.compile(copied_product(131, 200, 203), tmp_path))
        compilers.close()
    assert made[0] == made[1]
    carried = Artifact.from_dict(json.loads(json.dumps(made[0].as_dict())))
    assert carried == replace(made[0], launch=replace(made[0].launch, before=()))  # each of `before` has its own
    assert carried.launch.arguments[0].tensor.buffer == "a_copy"


@pytest.mark.triton
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_a_triton_kernel_is_given_as_many_bytes_as_it_takes(encoded, tmp_path, arch):
    """With TMA and without it."""
    compilers = TritonBackend(a_target(arch=arch), 1)
    artifact = compilers.compile(triton_product(131, 200, 328), tmp_path)
    compilers.close()
    assert sizes_given(artifact) == sizes_taken(artifact.path)
    assert len(encoded) == (3 if arch == "sm_90" else 0)


@pytest.mark.nvrtc
@pytest.mark.triton
def test_a_cuda_kernel_is_given_the_map_alone(cuda, encoded, tmp_path):
    """Triton's package brings what reads the cubin."""
    artifact = cuda.compile(cuda_product(40, 72, 136), tmp_path)
    assert isinstance(artifact, Artifact)
    assert Artifact.from_dict(json.loads(json.dumps(artifact.as_dict()))) == artifact
    assert sizes_given(artifact) == sizes_taken(artifact.path) == [128, 128, 128, 4]
    mix = instruction_mix(artifact.path)
    assert mix["UTMALDG"] == 2
    assert mix["UTMASTG"] == 1


@pytest.mark.triton
def test_sizes_and_strides_follow_each_map_of_triton(triton, encoded, tmp_path):
    """In elements, outermost first; two pointers of scratch end the list."""
    artifact = triton.compile(triton_product(131, 200, 328), tmp_path)
    arrays = arrays_of(artifact)
    values = parameters(artifact)(arrays)
    assert [int(value) for value in values if value.dtype.kind != "V"] == [
        *(131, 328, 328, 1),
        *(328, 200, 200, 1),
        *(131, 200, 200, 1),
        *(328, 0, 0),
    ]
    assert [place for place, value in enumerate(values) if value.dtype.kind == "V"] == [0, 5, 10]
    assert [address for _, address in encoded] == [arrays[name].data.ptr for name in "abc"]


@pytest.mark.triton
def test_without_tma_triton_is_given_array_sizes_strides_and_fill(tmp_path):
    """In 64 bits, and then as with TMA."""
    compilers = TritonBackend(a_target(arch="sm_80"), 1)
    nan = TensorMap.row_major("a", "bf16", (131, 328), (8, 8), fill="nan")
    artifact = compilers.compile(triton_product(131, 200, 328, nan), tmp_path)
    compilers.close()
    arrays = arrays_of(artifact)
    array, *values = parameters(artifact)(arrays)[:10]
    assert array is arrays["a"]
    assert [(int(value), value.dtype.str[1:]) for value in values] == [
        *((value, "i8") for value in (131, 328, 328, 1)),
        (True, "b1"),
        *((value, "i4") for value in (131, 328)),
        *((value, "i8") for value in (328, 1)),
    ]


@pytest.mark.triton
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: replace(a, tensor=None), "a has type tensordesc<bf16[128, 64]>, but its tensor map is None"),
        (lambda a: replace(a, tensor=replace(a.tensor, dtype="fp16")), "but its tensor map is fp16[131, 328]"),
        (lambda a: replace(a, tensor=replace(a.tensor, shape=(328,), strides_bytes=())), "its tensor map is bf16[328]"),
    ],
)
def test_a_map_that_is_not_of_its_type_is_a_launch_failure(triton, tmp_path, change, said):
    """Before a kernel takes one thing for another."""
    candidate = triton_product(131, 200, 328)
    first, *rest = candidate.launch.arguments
    launch = replace(candidate.launch, arguments=(change(first), *rest))
    outcome = triton.compile(replace(candidate, launch=launch), tmp_path)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "launch"
    assert said in outcome.reason


def test_a_compiler_that_tells_of_other_descriptors_is_not_guessed_at():
    """A Triton to come may count them otherwise."""
    launch = triton_product(131, 200, 328).launch
    outcome = backend._mapped(launch, [{"box": [8, 8], "swizzle": "none"}] * 2)
    assert outcome == Failure("launch", "gemm takes 2 descriptors, its launch gives 3")


def test_a_size_beyond_32_bits_cannot_be_given_to_triton():
    """TMA could map it."""
    wide = TensorMap.row_major("a", "int8", (2**31, 16), (64, 16))
    launch = replace(triton_product(8, 8, 8).launch, arguments=(Argument("a", wide.triton_type(64, 16), tensor=wide),))
    with pytest.raises(LaunchError, match="2,147,483,648 does not fit i32"):
        parameters(Artifact("triton", Path("x.cubin"), launch))


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (replace(A_MAP, box=(300, 64)), r"the tensor map of a cannot be: a box of \[300, 64\]: each dim is 1 to 256"),
        (replace(A_MAP, box=()), "the tensor map of a cannot be: it has no box"),
    ],
)
def test_a_map_that_breaks_a_rule_is_a_launch_error(tensor, said):
    """Said when the kernel is loaded, before any driver is asked."""
    with pytest.raises(LaunchError, match=said):
        EncodedMaps(tensor)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (an_array(0x7F0000000008), "a starts at 0x7f0000000008: TMA takes multiples of 16 bytes"),
        (an_array(nbytes=85935), "the tensor map of a reaches 85,936 bytes, and a has 85,935"),
    ],
)
def test_a_map_over_the_wrong_memory_is_a_launch_error(encoded, array, said):
    """The rest of it is somebody else's."""
    with pytest.raises(LaunchError, match=said):
        EncodedMaps(A_MAP).of(array)
    assert encoded == []


def test_each_address_is_encoded_once(encoded, monkeypatch):
    """The same arrays come back in every call; what is remembered has a bound."""
    monkeypatch.setattr(tensor_maps, "KEPT", 2)
    maps = EncodedMaps(A_MAP)
    first, second, third = (an_array(address) for address in (0x1000, 0x2000, 0x3000))
    assert maps.of(first) is maps.of(first)
    maps.of(second)
    maps.of(first)
    assert [address for _, address in encoded] == [0x1000, 0x2000]
    maps.of(third)
    maps.of(first)
    assert [address for _, address in encoded] == [0x1000, 0x2000, 0x3000, 0x1000]


class FakeDriver:
    """Notes what it is asked for, as numbers, and fills the map with ones."""

    def __init__(self, status=0):
        self.status = status
        self.asked = None

    def cuTensorMapEncodeTiled(self, made, dtype, rank, address, dims, strides, box, steps, *rest):  # noqa: N802
        assert made.value % 128 == 0
        ctypes.memset(made.value, 1, 128)
        self.asked = (dtype, rank.value, address.value, *map(list, (dims, strides, box, steps)), *rest)
        return self.status

    def cuGetErrorName(self, status, said):  # noqa: N802
        ctypes.cast(said, ctypes.POINTER(ctypes.c_char_p))[0] = b"CUDA_ERROR_INVALID_VALUE"


def test_the_driver_is_given_the_innermost_dim_first_and_aligned_memory(monkeypatch):
    """In its own numbers (cuda.h)."""
    driver = FakeDriver()
    monkeypatch.setattr(tensor_maps, "_driver", lambda: driver)
    made = encode(replace(A_MAP, l2_promotion="256B", fill="nan"), 0x1000)
    assert driver.asked == (9, 2, 0x1000, [328, 131], [656], [64, 128], [1, 1], 0, 3, 3, 1)
    assert (made.size, made.itemsize) == (1, 128)  # what CuPy passes by value
    assert made.tobytes() == b"\1" * 128


def test_what_the_driver_refuses_is_a_launch_error_with_all_it_was_asked(monkeypatch):
    """What, where, and the driver's word for it."""
    monkeypatch.setattr(tensor_maps, "_driver", lambda: FakeDriver(1))
    said = "the driver refuses the tensor map of a: CUDA_ERROR_INVALID_VALUE (bf16[131, 328], strides [656] bytes, "
    with pytest.raises(LaunchError, match=re.escape(said)):
        encode(A_MAP, 0x1000)


def test_a_machine_without_a_driver_says_so(monkeypatch):
    """As does one whose driver is too old."""
    tensor_maps._driver.cache_clear()
    for found in (OSError("no such file"), SimpleNamespace()):

        def open_library(name, found=found):
            if isinstance(found, OSError):
                raise found
            return found

        monkeypatch.setattr(ctypes, "CDLL", open_library)
        with pytest.raises(LaunchError, match="this CUDA driver makes no tensor maps"):
            encode(A_MAP, 0x1000)
