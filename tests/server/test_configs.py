"""GET /v1/configs/gemm: what is asked, what is answered."""

import json
from dataclasses import replace

import pytest
from asking import PATH, SHAPE, TOOLS, a_gemm_record, refused
from builders import a_target, a_winner
from kerntune.cache.wire import answer_from_json
from kerntune.server.schemas import AnswerBody
from kerntune.templates.catalogue import op_named, templates_named


def test_a_known_problem_is_answered_with_its_config_and_evidence(store, browser):
    """The body is the wire's answer, as the client reads it."""
    record = a_gemm_record(us=(9.0, 10.0, 11.0))
    store.add(record)
    response = browser.get(PATH, params=SHAPE | {"device": "GPU X"} | TOOLS)
    assert response.status_code == 200
    answer = answer_from_json(response.json())
    assert (answer.match, answer.config, answer.median_us, answer.samples) == ("exact", record.config, 10.0, 3)


def test_the_body_is_the_one_openapi_describes(store, browser):
    """No field more, no field less."""
    store.add(a_gemm_record())
    body = browser.get(PATH, params=SHAPE).json()
    AnswerBody.model_validate(body)
    assert set(body) == set(AnswerBody.model_fields)


def test_without_a_toolchain_the_match_is_stale(store, browser):
    """The device alone does not say which tools the kernel will meet."""
    store.add(a_gemm_record())
    body = browser.get(PATH, params=SHAPE | {"device": "GPU X"}).json()
    assert (body["match"], body["differences"]) == ("stale", ["toolchain not stated"])


def test_a_target_by_digest_is_exact(store, browser):
    """A digest says device and toolchain at once."""
    record = a_gemm_record()
    store.add(record)
    assert browser.get(PATH, params=SHAPE | {"target": record.key.target.digest}).json()["match"] == "exact"


def test_an_unknown_target_has_a_type_of_its_own(store, browser):
    """So that a client can ask again by device and toolchain."""
    store.add(a_gemm_record())
    refused(browser.get(PATH, params=SHAPE | {"target": "f" * 32}), 404, "/problems/unknown-target")


def test_target_and_toolchain_exclude_each_other(store, browser):
    """Which of the two would hold?"""
    record = a_gemm_record()
    store.add(record)
    response = browser.get(PATH, params=SHAPE | {"target": record.key.target.digest, "cuda": "13.0"})
    assert "cuda" in refused(response, 422, "/problems/usage")["detail"]


def test_target_and_device_must_fit(store, browser):
    """A target of one device is no target of another."""
    record = a_gemm_record()
    store.add(record)
    digest = record.key.target.digest
    assert browser.get(PATH, params=SHAPE | {"target": digest, "device": "gpu"}).status_code == 200
    response = browser.get(PATH, params=SHAPE | {"target": digest, "device": "cpu"})
    assert "GPU X" in refused(response, 422, "/problems/usage")["detail"]


@pytest.mark.parametrize("word", ["GPU X", "gpu", "cuda"])
def test_a_device_is_named_as_recorded_or_by_kind(store, browser, word):
    """A kind is enough where one such device is known."""
    store.add(a_gemm_record())
    store.add(a_gemm_record("cpu"))
    assert browser.get(PATH, params=SHAPE | {"device": word}).json()["target"]["kind"] == "gpu"


def test_a_kind_that_two_devices_share_is_refused_with_their_names(store, browser):
    """Neither is guessed."""
    store.add(a_gemm_record())
    store.add(a_gemm_record(target_changes={"name": "GPU Y"}))
    body = refused(browser.get(PATH, params=SHAPE | {"device": "cuda"}), 422, "/problems/usage")
    assert body["known"] == ["GPU X", "GPU Y"]


def test_without_a_device_the_only_one_is_meant(store, browser):
    """Several toolchains of one device are one device."""
    store.add(a_gemm_record())
    store.add(a_gemm_record(target_changes={"driver": "560.28"}))
    assert browser.get(PATH, params=SHAPE).json()["target"]["device"]["name"] == "GPU X"


def test_without_a_device_among_several_the_request_is_refused_with_their_names(store, browser):
    """The caller chooses."""
    store.add(a_gemm_record())
    store.add(a_gemm_record("cpu"))
    body = refused(browser.get(PATH, params=SHAPE), 422, "/problems/usage")
    assert body["known"] == ["GPU X", "Model T"]


@pytest.mark.parametrize("place", [{}, {"device": "cpu"}, {"device": "GPU X"}])
def test_an_empty_server_knows_nothing(browser, place):
    """That is a miss, not a mistake of the caller."""
    refused(browser.get(PATH, params=SHAPE | place), 404, "/problems/no-answer")


def test_an_unknown_device_is_a_miss_that_names_the_known_ones(store, browser):
    """A client on new hardware did nothing wrong."""
    store.add(a_gemm_record())
    body = refused(browser.get(PATH, params=SHAPE | {"device": "GPU Z"}), 404, "/problems/no-answer")
    assert body["known"] == ["GPU X"]


def test_a_miss_says_what_the_nearest_record_differs_in_and_how_to_tune(store, browser):
    """Field by field, then the command to run, with the fields that were stated."""
    store.add(a_gemm_record(layout="nn"))
    params = SHAPE | {"layout": "tt", "device": "GPU X"} | TOOLS
    detail = refused(browser.get(PATH, params=params), 404, "/problems/no-answer")["detail"]
    assert "layout: tt here, nn stored" in detail
    assert detail.endswith("tune gemm --shape 64x128x256 --layout tt")


def test_a_near_answer_is_given_to_who_asks_for_one(store, browser):
    """Of another shape, named field by field, with what it should lose; to nobody else."""
    target = a_target()
    (tiled,) = templates_named("gemm", ["triton_tiled"])
    there = op_named("gemm").problem("gpu", m=4096, n=4096, k=4096)
    store.add(a_winner(there, 180.0, tiled, None, target))
    asked = {"shape": "4096x4096x2048", "target": target.digest}
    refused(browser.get(PATH, params=asked), 404, "/problems/no-answer")
    answer = answer_from_json(browser.get(PATH, params=asked | {"min_match": "near"}).json())
    assert (answer.match, answer.differences) == ("near", ("k: 2048 here, 4096 stored",))
    assert answer.expected_slowdown >= 1.0


def test_a_lookup_creates_no_work(store, browser):
    """Neither a hit nor a miss changes what is stored."""
    store.add(a_gemm_record())
    before = store.candidates("gemm")
    browser.get(PATH, params=SHAPE)
    browser.get(PATH, params={"shape": "1x2x3"})
    assert store.candidates("gemm") == before


@pytest.mark.parametrize(("kind", "dtype"), [("cpu", "fp32"), ("gpu", "bf16")])
def test_the_default_dtype_is_that_of_the_device_asked_about(store, browser, kind, dtype):
    """Not of the machine the server runs on."""
    store.add(a_gemm_record("cpu"))
    store.add(a_gemm_record("gpu"))
    assert browser.get(PATH, params=SHAPE | {"device": kind}).json()["problem"]["dtype"] == dtype


def test_the_policy_is_part_of_the_question(store, browser):
    """A warm time is no answer to a cold question."""
    store.add(a_gemm_record(policy="warm"))
    assert browser.get(PATH, params=SHAPE | {"policy": "warm"}).json()["policy"]["cache"] == "warm"
    refused(browser.get(PATH, params=SHAPE), 404, "/problems/no-answer")


def test_min_match_exact_refuses_a_stale_config(store, browser):
    """And the miss says what would have to be the same."""
    store.add(a_gemm_record())
    params = SHAPE | {"device": "GPU X", "min_match": "exact"}
    assert "toolchain not stated" in refused(browser.get(PATH, params=params), 404, "/problems/no-answer")["detail"]


def test_every_field_of_the_op_reaches_the_problem(store, browser):
    """A value other than the default is another problem."""
    store.add(a_gemm_record(batch=2, epilogue="bias+relu", layout="nt", dtype="fp8e4m3"))
    params = SHAPE | {"batch": 2, "epilogue": "bias+relu", "layout": "nt", "dtype": "fp8"}
    assert browser.get(PATH, params=params).status_code == 200


def test_a_bare_plus_in_an_epilogue_is_a_plus(store, browser):
    """A query string turns + into a space; whoever types the address by hand means the plus."""
    store.add(a_gemm_record(epilogue="bias+relu"))
    assert browser.get(f"{PATH}?shape=64x128x256&epilogue=bias+relu").status_code == 200


def test_a_count_of_any_size_is_a_question(store, browser):
    """A batch has no upper bound; nothing is known about most."""
    store.add(a_gemm_record())
    refused(browser.get(PATH, params=SHAPE | {"batch": "9" * 150}), 404, "/problems/no-answer")


def test_the_etag_is_strong_and_follows_the_body(store, browser):
    """Same bytes, same tag; a better config, another tag."""
    store.add(a_gemm_record())
    first, second = (browser.get(PATH, params=SHAPE) for _ in range(2))
    store.add(a_gemm_record(config={"BLOCK_M": 128}, us=5.0))
    better = browser.get(PATH, params=SHAPE)
    assert first.content == second.content
    assert first.headers["etag"] == second.headers["etag"] != better.headers["etag"]
    assert first.headers["etag"].startswith('"')


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_who_holds_the_answer_is_not_sent_it_again(store, browser, form):
    """304, without a body, with the tag."""
    store.add(a_gemm_record())
    etag = browser.get(PATH, params=SHAPE).headers["etag"]
    response = browser.get(PATH, params=SHAPE, headers={"If-None-Match": form.format(etag)})
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)


def test_who_holds_an_old_answer_is_sent_the_new_one(store, browser):
    """The tag of another body is no tag of this one."""
    store.add(a_gemm_record())
    assert browser.get(PATH, params=SHAPE, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_body_is_ascii_json_whatever_a_record_says(store, browser):
    """Control characters that reach the wire are escaped on it."""
    record = a_gemm_record(target_changes={"name": "GPU \x1b[31m\x9b é"})
    store.add(replace(record, recorded_by="ada"))
    response = browser.get(PATH, params=SHAPE)
    assert response.content.isascii()
    assert b"\x1b" not in response.content
    assert json.loads(response.content)["target"]["device"]["name"] == "GPU \x1b[31m\x9b é"
