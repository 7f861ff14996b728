"""POST and GET /v1/records, POST /v1/incidents."""

from dataclasses import replace

import pytest
from asking import PATH, a_gemm_record, refused
from builders import a_target
from kerntune.cache.memory import MemoryStore
from kerntune.cache.wire_records import MOST_PER_UPLOAD, record_from_json, record_to_json
from kerntune.server.schemas_records import RecordPageBody
from kerntune.spaces.errors import StoreError
from kerntune.tuner.record_services import StoreRecordServices
from kerntune.tuner.serving import StoreServices
from uploads import a_failed_record, a_full_record

RECORDS = [a_full_record(), a_failed_record(), a_gemm_record()]


def upload(browser, *records):
    return browser.post("/v1/records", {"records": [r if isinstance(r, dict) else record_to_json(r) for r in records]})


def pages(browser, **words):
    """Records of every page, to the last."""
    found, cursor = [], None
    while True:
        page = browser.get("/v1/records", params=words | ({"cursor": cursor} if cursor else {})).json()
        RecordPageBody.model_validate_json(browser.get("/v1/records", params=words).text)
        found += map(record_from_json, page["records"])
        cursor = page["next"]
        if cursor is None:
            return found


def test_what_is_uploaded_is_read_back_to_the_last_bit(browser):
    """Measurements, failures, baselines, verdicts, in order of arrival."""
    assert upload(browser, *RECORDS).json() == {"added": 3, "known": 0, "refused": []}
    assert pages(browser) == RECORDS


def test_an_upload_may_be_repeated(browser):
    """As a worker does that has not heard the answer; also within one upload."""
    upload(browser, *RECORDS)
    assert upload(browser, *RECORDS, RECORDS[0]).json() == {"added": 0, "known": 4, "refused": []}
    assert pages(browser) == RECORDS


def test_each_record_is_judged_for_itself(browser):
    """A refused one is named by its place, and costs the others nothing."""
    wrong = record_to_json(RECORDS[0])
    done = upload(browser, RECORDS[0], wrong | {"phase": "lunch"}, RECORDS[1], {}, RECORDS[2]).json()
    assert (done["added"], [one["index"] for one in done["refused"]]) == (3, [1, 3])
    assert "phase" in done["refused"][0]["reason"]
    assert pages(browser) == RECORDS


def test_an_uploaded_winner_is_what_the_next_lookup_answers(browser):
    """Uploads and lookups are of one store."""
    words = {"shape": "64x128x256", "min_match": "stale"}
    assert browser.get(PATH, params=words).status_code == 404
    upload(browser, a_gemm_record(config={"BLOCK_M": 32}))
    assert browser.get(PATH, params=words).json()["config"] == {"BLOCK_M": 32}


def test_pages_hold_each_record_once_while_others_write(browser):
    """What was there when the reading began is read once; what came later is read at the end."""
    first = [a_gemm_record(us=1.0 + number) for number in range(5)]
    upload(browser, *first)
    begun = browser.get("/v1/records", params={"limit": 2}).json()
    late = a_gemm_record(us=0.5)
    upload(browser, late, first[0])
    rest = pages(browser, limit=2, cursor=begun["next"])
    assert [*map(record_from_json, begun["records"]), *rest] == [*first, late]


def test_a_reading_is_narrowed_to_op_problem_and_target(browser):
    """By the digests that a key has."""
    upload(browser, *RECORDS)
    key = RECORDS[1].key
    assert pages(browser, op="gemm") == RECORDS
    assert pages(browser, op="conv") == pages(browser, target="f" * 32) == []
    assert pages(browser, problem=key.problem.digest, target=key.target.digest) == [RECORDS[1]]


def test_a_page_of_large_records_ends_early(browser, monkeypatch):
    """So that neither side holds more than some MiB; the cursor goes on."""
    monkeypatch.setattr("kerntune.tuner.record_services.PAGE_BYTES", 1000)
    monkeypatch.setattr("kerntune.tuner.record_services.READ_AT_ONCE", 2)
    records = [a_gemm_record(us=1.0 + number) for number in range(7)]
    upload(browser, *records)
    assert len(browser.get("/v1/records").json()["records"]) == 2
    assert pages(browser) == records


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": "r"}, "give `next` of the page before"),
        ({"problem": "12"}, "a digest is"),
        ({"target": "F" * 32}, "a digest is"),
        ({"op": "a\x00"}, "control characters"),
        ({"tagret": "f" * 32}, 'Did you mean "target"'),
        ({"op": "x" * 1000}, "op"),
    ],
)
def test_words_that_are_off_are_refused(browser, words, said):
    """A typo never reads everything."""
    assert said in refused(browser.get("/v1/records", params=words), 422, "/problems/usage")["detail"]


@pytest.mark.parametrize(
    "body", [[], {}, {"records": []}, {"records": [1]}, {"records": [], "more": 1}, "records", None]
)
def test_an_upload_that_is_none_is_refused_whole(browser, body):
    """With a problem body."""
    refused(browser.post("/v1/records", body), 422, "/problems/usage")


def test_an_upload_has_bounds(browser):
    """So many records, and no more."""
    refused(upload(browser, *[{}] * (MOST_PER_UPLOAD + 1)), 422, "/problems/usage")
    assert len(upload(browser, *[{}] * MOST_PER_UPLOAD).json()["refused"]) == MOST_PER_UPLOAD


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"records": [' + b"9" * 5000 + b"]}"])
def test_a_body_that_is_no_json_is_refused(browser, body):
    """400 or 422, never a fault."""
    response = browser.request("POST", "/v1/records", content=body, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


def test_a_record_of_a_config_that_the_template_cannot_have_is_refused(browser):
    """Its source would never have been rendered."""
    record = a_full_record()
    config = record_to_json(record)["config"]
    done = upload(browser, record_to_json(record) | {"config": config | {"BLOCK_M": 48}}).json()
    assert "triton_tiled" in done["refused"][0]["reason"]


def test_a_store_that_fails_is_503_and_the_upload_may_come_again(browse):
    """Nothing is said to be kept that is not."""

    class LostStore(MemoryStore):
        def add_many(self, records, /):
            raise StoreError("the disk is full.")

    services = StoreRecordServices(LostStore())
    browser = browse(StoreServices(MemoryStore()), records=services)
    assert refused(upload(browser, *RECORDS), 503, "/problems/store")["detail"] == "the disk is full."


def an_incident(**changes):
    said = record_to_json(RECORDS[0])
    return {name: said[name] for name in ("problem", "target", "policy")} | {"kind": "disk", "reason": "full"} | changes


def test_an_incident_is_kept_and_blames_no_config(browser):
    """No record comes of it."""
    assert browser.post("/v1/incidents", an_incident()).json() == {"kept": 1}
    assert pages(browser) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": ""}, "kind"),
        ({"reason": 1}, "reason"),
        ({"problem": {"op": "gem"}}, 'Did you mean "gemm"'),
        ({"target": {"kind": "cpu"}}, "target.device is missing"),
        ({"policy": {"cache": "hot", "launch": "graph"}}, "policy.cache"),
    ],
)
def test_an_incident_of_nothing_is_refused(browser, changes, said):
    """With the place that is off."""
    response = browser.post("/v1/incidents", an_incident(**changes))
    assert said in refused(response, 422, "/problems/usage")["detail"]


def test_records_of_a_target_make_it_known(browser):
    """To be named by its digest in a lookup."""
    there = replace(RECORDS[2], key=replace(RECORDS[2].key, target=a_target(driver="1")))
    upload(browser, there)
    assert browser.get(f"/v1/targets/{there.key.target.digest}").json() == there.key.target.as_dict()
