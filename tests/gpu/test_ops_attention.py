"""ops.attention on a GPU: kernels the store knows, on torch's tensors, against torch's own answer."""

from dataclasses import replace

import pytest
from builders import a_record
from kerntune import ops
from kerntune.cache.records import Baseline, Policy, RecordKey
from kerntune.templates.catalogue import op_named, templates
from kerntune.tuner import settings, wiring

pytestmark = [pytest.mark.gpu, pytest.mark.torch]

ATTENTION = op_named("attention")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One cache: compilers stay warm for all tests here."""
    ops.forget()
    yield tmp_path_factory.mktemp("ops")
    ops.forget()


@pytest.fixture(autouse=True)
def own_store(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("KERNTUNE_DISABLE", raising=False)
    monkeypatch.setenv("KERNTUNE_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setenv("KERNTUNE_DB", f"sqlite:///{tmp_path}/known.db")


def know(target, name, **fields):
    """Put the first seed of a template into the store."""
    problem = ATTENTION.problem("gpu", **fields)
    template = next(one for one in templates("attention") if one.name == name)
    assert template.supports(problem, target) is None
    config = template.seed_configs(template.feasible(problem, target), problem, target)[0]
    record = a_record(RecordKey(problem, target, Policy()), config, 1.0, template_digest=template.digest)
    vendor = Baseline("torch", (1000.0,))
    store = wiring.open_store(settings.read())
    store.add(replace(record, template=name, space_digest=template.space.digest, baseline=vendor))
    store.close()


GPU_TEMPLATES = [one.name for one in templates("attention") if one.backend != "cpu"]


@pytest.mark.parametrize("name", GPU_TEMPLATES)
@pytest.mark.parametrize("layout", ["bhsd", "bshd"])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_a_tuned_kernel_computes_what_torch_does(target, name, layout, scale):
    """Either layout, any scale; captured in a graph too, and replayed on new data."""
    import torch

    b, h, s, d, kv_heads, kv_len = (2, 8, 1, 128, 2, 700) if "decode" in name else (2, 8, 300, 128, 2, 300)
    causal = s > 1
    fields = {"b": b, "h": h, "s": s, "d": d, "kv_heads": kv_heads, "kv_len": kv_len, "dtype": "bf16"}
    know(target, name, **fields, layout=layout, causal=causal)

    def made(heads, length):
        shape = (b, heads, length, d) if layout == "bhsd" else (b, length, heads, d)
        x = torch.randn(shape, device="cuda", dtype=torch.bfloat16)
        return x if layout == "bhsd" else x.transpose(1, 2)

    q, k, v = made(h, s), made(kv_heads, kv_len), made(kv_heads, kv_len)
    ops.forget()
    plan = ops.attention_plan(q, k, v, causal=causal, scale=scale)
    assert (plan.kernel, plan.copied) == (name, ()), plan

    def expected():
        return torch.nn.functional.scaled_dot_product_attention(
            q.float(), k.float(), v.float(), is_causal=causal, scale=scale, enable_gqa=True
        )

    def off(o):
        return float((o.float() - expected()).norm() / expected().norm())

    assert off(ops.attention(q, k, v, causal=causal, scale=scale)) < 1e-2
    out = torch.empty_like(q)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        ops.attention(q, k, v, causal=causal, scale=scale, out=out)
    q.copy_(torch.randn_like(q))
    graph.replay()
    torch.cuda.synchronize()
    assert off(out) < 1e-2
