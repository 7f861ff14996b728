"""ops.gemm on a GPU: kernels the store knows, on torch's and CuPy's arrays, streams and graphs."""

import threading
from dataclasses import replace

import pytest
from builders import a_record
from kerntune import ops
from kerntune.cache.records import Baseline, Policy, RecordKey
from kerntune.templates.catalogue import op_named, templates
from kerntune.tuner import settings, wiring

pytestmark = [pytest.mark.gpu, pytest.mark.torch]

GEMM = op_named("gemm")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One store, and compilers that stay warm, for all tests here."""
    ops.forget()
    yield tmp_path_factory.mktemp("ops")
    ops.forget()


@pytest.fixture(autouse=True)
def own_store(folder, monkeypatch):
    monkeypatch.delenv("KERNTUNE_DISABLE", raising=False)
    monkeypatch.setenv("KERNTUNE_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setenv("KERNTUNE_DB", f"sqlite:///{folder}/known.db")


@pytest.fixture
def torch():
    import torch

    return torch


@pytest.fixture
def know(target):
    """Puts a record into the store: the first seed of a template that computes the problem, or what `wanted` likes."""

    def put(wanted=lambda config: True, name=None, **fields):
        problem = GEMM.problem("gpu", **fields)
        able = [t for t in templates("gemm") if t.backend in ("triton", "cuda") and not t.supports(problem, target)]
        for template in (t for t in able if name in (None, t.name)):
            feasible = template.feasible(problem, target)
            configs = [c for c in template.seed_configs(feasible, problem, target) if wanted(c)]
            if configs:
                break
        else:
            return None
        record = a_record(RecordKey(problem, target, Policy()), configs[0], 1.0, template_digest=template.digest)
        vendor = Baseline("torch.mm", (1000.0,))
        record = replace(record, template=template.name, space_digest=template.space.digest, baseline=vendor)
        store = wiring.open_store(settings.read())
        store.add(record)
        store.close()
        return template.name

    return put


def randoms(torch, dtype, *shapes):
    return [torch.randn(*shape, device="cuda", dtype=torch.float32).to(dtype) for shape in shapes]


def close(c, expected, share=1e-2):
    c, expected = c.double(), expected.double()
    return bool((c - expected).norm() <= share * expected.norm())


@pytest.mark.parametrize(
    ("name", "layout"), [("bf16", "nn"), ("bf16", "nt"), ("bf16", "tn"), ("bf16", "tt"), ("fp16", "nt"), ("fp32", "nn")]
)
def test_a_known_kernel_answers_torch(torch, know, name, layout):
    """Ragged, with out and without."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[name]
    m, n, k = 129, 88, 72
    assert know(m=m, n=n, k=k, dtype=name, layout=layout)
    a, b = randoms(torch, dtype, (m, k) if layout[0] == "n" else (k, m), (k, n) if layout[1] == "n" else (n, k))
    expected = (a if layout[0] == "n" else a.T).double() @ (b if layout[1] == "n" else b.T).double()
    assert ops.gemm_plan(a, b, layout=layout).is_tuned
    out = torch.full((m, n), float("nan"), device="cuda", dtype=dtype)
    assert close(ops.gemm(a, b, layout=layout), expected)
    assert close(ops.gemm(a, b, layout=layout, out=out), expected)
    assert close(ops.gemm(a if layout[0] == "n" else a.T, b if layout[1] == "n" else b.T), expected)


@pytest.mark.parametrize("epilogue", ["none", "bias", "bias+gelu", "silu+residual"])
@pytest.mark.parametrize("batch", [1, 3])
def test_epilogues_and_batches_are_right_whoever_answers(torch, know, epilogue, batch):
    """A kernel where a template can, else torch."""
    known = know(m=64, n=96, k=64, batch=batch, dtype="bf16", epilogue=epilogue)
    lead = (batch,) if batch > 1 else ()
    a, b, bias, residual = randoms(torch, torch.bfloat16, (*lead, 64, 64), (*lead, 64, 96), (96,), (*lead, 64, 96))
    read = {"bias": bias} if "bias" in epilogue else {}
    read |= {"residual": residual} if "residual" in epilogue else {}
    expected = a.double() @ b.double() + (bias.double() if read.get("bias") is not None else 0)
    expected = torch.nn.functional.gelu(expected) if "gelu" in epilogue else expected
    expected = torch.nn.functional.silu(expected) if "silu" in epilogue else expected
    expected = expected + residual.double() if "residual" in read else expected
    assert close(ops.gemm(a, b, epilogue=epilogue, **read), expected)
    assert ops.gemm_plan(a, b, epilogue=epilogue, **read).is_tuned == (known is not None)


@pytest.mark.parametrize("dtype", ["int8", "fp8e4m3"])
def test_eight_bits_are_right_whoever_answers(torch, know, dtype):
    """Integers exactly."""
    words = {"out_dtype": "bf16", "scales": "tensor"} if dtype == "fp8e4m3" else {}
    know(m=64, n=96, k=128, dtype=dtype, layout="nt", **words)
    if dtype == "int8":
        a, b = (torch.randint(-128, 128, shape, device="cuda", dtype=torch.int8) for shape in ((64, 128), (96, 128)))
        assert torch.equal(ops.gemm(a, b, layout="nt"), (a.double() @ b.double().T).int())
        return
    a, b = randoms(torch, torch.float8_e4m3fn, (64, 128), (96, 128))
    scale, other = torch.tensor([0.5], device="cuda"), torch.tensor([3.0], device="cuda")
    c = ops.gemm(a, b, layout="nt", a_scale=scale, b_scale=other, **words)
    assert close(c, a.double() @ b.double().T * 1.5)


def unaligned_copy(config):
    return config.get("UNALIGNED") == "copy"


def test_a_kernel_with_a_workspace_keeps_streams_and_graphs_apart(torch, know):
    """Two streams work at once, while a graph is replayed: rows of 77 elements are copied into a workspace."""
    assert know(unaligned_copy, "triton_tiled", m=512, n=512, k=777, dtype="bf16", layout="nt")
    pairs = [randoms(torch, torch.bfloat16, (512, 777), (512, 777)) for _ in range(3)]
    expected = [a.double() @ b.double().T for a, b in pairs]
    assert ops.gemm_plan(*pairs[0], layout="nt").is_tuned
    outs = [torch.empty(512, 512, device="cuda", dtype=torch.bfloat16) for _ in pairs]
    streams = [torch.cuda.Stream(), torch.cuda.Stream()]
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        ops.gemm(*pairs[2], layout="nt", out=outs[2])
    for _ in range(50):
        for stream, pair, out in zip(streams, pairs, outs, strict=False):
            with torch.cuda.stream(stream):
                ops.gemm(*pair, layout="nt", out=out)
        graph.replay()
    torch.cuda.synchronize()
    assert all(close(out, right) for out, right in zip(outs, expected, strict=True))


@pytest.mark.parametrize("warm", [True, False])
def test_calls_are_captured_and_replayed_on_new_data(torch, know, warm):
    """Even where the first call ever is the captured one: it loads the kernel, and that is no part of the graph."""
    k = 128 if warm else 160  # another problem, of which nothing is loaded
    assert know(m=256, n=192, k=k, dtype="bf16")
    a, b = randoms(torch, torch.bfloat16, (256, k), (k, 192))
    if warm:
        ops.gemm(a, b)
    torch.mm(a, b)  # cuBLAS is loaded: the second product is its
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        c = ops.gemm(a, b)
        d = ops.gemm(c, b.T)
    for _ in range(2):
        a.copy_(torch.randn(256, k, device="cuda"))
        graph.replay()
        torch.cuda.synchronize()
        assert close(c, a.double() @ b.double())
        assert close(d, c.double() @ b.double().T)


def test_work_is_ordered_in_the_callers_stream(torch, know):
    """What the stream did before is seen, and what follows sees C."""
    assert know(m=256, n=256, k=256, dtype="bf16")
    a, b = randoms(torch, torch.bfloat16, (256, 256), (256, 256))
    ops.gemm(a, b)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        torch.cuda._sleep(20_000_000)
        a.fill_(1.0)
        c = ops.gemm(a, b) * 2
    side.synchronize()
    assert close(c, 2 * torch.ones_like(a).double() @ b.double())


def test_a_thread_that_never_called_cuda_may_launch(torch, know):
    """Its context is entered for it."""
    assert know(m=256, n=256, k=256, dtype="bf16")
    a, b = randoms(torch, torch.bfloat16, (256, 256), (256, 256))
    out = torch.empty_like(a)
    ops.gemm(a, b, out=out)
    out.zero_()
    torch.cuda.synchronize()
    thread = threading.Thread(target=lambda: ops.gemm(a, b, out=out))
    thread.start()
    thread.join()
    torch.cuda.synchronize()
    assert close(out, a.double() @ b.double())


@pytest.mark.parametrize("offset", [1, 3])
def test_slices_that_begin_unaligned_are_right(torch, know, offset):
    """Copied where that pays, as this record makes it; a wider matrix's rows too."""
    assert know(m=128, n=64, k=96, dtype="fp16")
    (whole,) = randoms(torch, torch.float16, (128, 96 + offset))
    (flat,) = randoms(torch, torch.float16, (96 * 64 + offset,))
    a, b = whole[:, offset:], flat[offset:].view(96, 64)
    assert ops.gemm_plan(a, b).copied == ("a", "b")
    assert close(ops.gemm(a, b), a.double() @ b.double())


def test_a_known_kernel_answers_cupy(torch, know):
    """In CuPy's current stream; bf16 as bits."""
    import cupy

    assert know(m=128, n=64, k=96, dtype="fp16")
    assert know(m=128, n=64, k=96, dtype="bf16")
    a, b = cupy.random.randn(128, 96).astype(cupy.float16), cupy.random.randn(96, 64).astype(cupy.float16)
    with cupy.cuda.Stream(non_blocking=True) as stream:
        assert ops.gemm_plan(a, b).is_tuned
        c = ops.gemm(a, b)
        stream.synchronize()
    right = a.astype(cupy.float64) @ b.astype(cupy.float64)
    assert float(cupy.linalg.norm(c - right)) <= 1e-2 * float(cupy.linalg.norm(right))
    assert isinstance(c, cupy.ndarray)
    one, other = randoms(torch, torch.bfloat16, (128, 96), (96, 64))
    torch.cuda.synchronize()
    bits = [cupy.asarray(each.view(torch.int16)).view(cupy.uint16) for each in (one, other)]
    made = ops.gemm(*bits, dtype="bf16")
    cupy.cuda.get_current_stream().synchronize()
    assert made.dtype == cupy.uint16
    assert close(
        torch.as_tensor(made.view(cupy.int16), device="cuda").view(torch.bfloat16), one.double() @ other.double()
    )
