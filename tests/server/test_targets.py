"""POST and GET /v1/targets, GET /v1/targets/<digest>."""

import pytest
from asking import a_gemm_record, refused
from builders import a_target
from kerntune.cache.wire_targets import target_checked


def test_a_target_is_registered_and_read_by_its_digest(browser):
    """As often as anyone likes."""
    for _ in range(2):
        done = browser.post("/v1/targets", a_target().as_dict())
        assert (done.status_code, done.json()) == (200, {"digest": a_target().digest})
    assert target_checked(browser.get(f"/v1/targets/{a_target().digest}").json()) == a_target()


def test_only_targets_of_records_are_listed(browser, store):
    """A registered one has nothing to say yet."""
    browser.post("/v1/targets", a_target("cpu").as_dict())
    assert browser.get("/v1/targets").json() == {"targets": []}
    store.add(a_gemm_record())
    assert browser.get("/v1/targets").json() == {"targets": [a_target().as_dict()]}


@pytest.mark.parametrize("digest", ["f" * 32, "0", "x" * 33, "%00", "..%2f", "%ed%a0%80"])
def test_a_target_that_is_not_known_is_404(browser, digest):
    """With what to do."""
    response = browser.get(f"/v1/targets/{digest}")
    if digest == "..%2f":
        assert response.status_code == 404
    else:
        assert "POST /v1/targets" in refused(response, 404, "/problems/unknown-target")["detail"]


def changed(part, **changes):
    said = a_target().as_dict()
    return said | {part: said[part] | changes}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "kind is missing"),
        (changed("device", sm_count=-1), "sm_count"),
        (changed("device", sm_count="132"), "sm_count"),
        (changed("device", name="a\x1b[2J"), "control characters"),
        (changed("device", clock_mhz=1980), "not known here"),
        (changed("toolchain", driver=550), "driver"),
        (a_target().as_dict() | {"kind": "cpu"}, "target.device"),
        (a_target().as_dict() | {"kind": "tpu"}, "cpu, gpu"),
    ],
)
def test_a_target_that_is_none_is_refused(browser, body, said):
    """Its digest is made of every field, so none may be off."""
    assert said in refused(browser.post("/v1/targets", body), 422, "/problems/usage")["detail"]


def test_a_body_of_another_kind_is_refused(browser):
    """A list is no target."""
    refused(browser.post("/v1/targets", [a_target().as_dict()]), 422, "/problems/usage")
