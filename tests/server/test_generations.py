"""/v1/generations, and lookups that are pinned to one."""

from __future__ import annotations

import json

import pytest
from asking import PATH, SHAPE, TOOLS, a_gemm_record, refused
from builders import a_target
from kerntune.cache.generation_file import FileGenerations, export
from kerntune.cache.memory_generations import MemoryGenerations
from kerntune.server.app import create_app
from kerntune.server.schemas import AnswerBody
from kerntune.server.schemas_generations import DiffBody, FrozenBody, GenerationBody, GenerationsBody
from kerntune.tuner.generation_services import GenerationServices
from kerntune.tuner.pinned import Pins
from kerntune.tuner.serving import PinnedServices, StoreServices

GENERATIONS = "/v1/generations"
AT_GPU = SHAPE | {"device": "GPU X"} | TOOLS


@pytest.fixture
def generations(store):
    return MemoryGenerations(store)


@pytest.fixture
def services(store, generations):
    return StoreServices(store, pins=Pins(generations, target_named=store.target))


@pytest.fixture
def browser(services, browser):
    browser.app = create_app(services, services.generation_services())
    return browser


def frozen(browser, **body):
    response = browser.request("POST", GENERATIONS, json=body)
    assert response.status_code in (200, 201), response.text
    FrozenBody.model_validate(response.json())
    return response


def test_freezing_makes_a_generation_once(store, browser):
    """201 with its place; 200 and the same one where nothing has changed."""
    store.add(a_gemm_record())
    first, again = frozen(browser, note="one"), frozen(browser, note="two")
    assert (first.status_code, first.headers["location"], first.json()["is_new"]) == (201, f"{GENERATIONS}/1", True)
    assert (again.status_code, again.json()) == (200, first.json() | {"is_new": False})
    listed = browser.get(GENERATIONS).json()
    GenerationsBody.model_validate(listed)
    read = browser.get(f"{GENERATIONS}/1").json()
    GenerationBody.model_validate(read)
    assert listed == {"generations": [read]}
    assert (read["number"], read["note"], read["answers"]) == (1, "one", 1)


def test_nothing_known_is_nothing_to_freeze(browser):
    """And the list is empty."""
    refused(browser.request("POST", GENERATIONS, json={}), 404, "/problems/no-answer")
    assert browser.get(GENERATIONS).json() == {"generations": []}


@pytest.mark.parametrize("path", ["/7", "/7/diff/1", "/1/diff/7"])
def test_an_unknown_generation_has_a_type_of_its_own(store, browser, path):
    """And the error says which is the newest."""
    store.add(a_gemm_record())
    frozen(browser)
    body = refused(browser.get(GENERATIONS + path), 404, "/problems/unknown-generation")
    assert "the newest is 1" in body["detail"]


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "/0", {}),
        ("GET", "/one", {}),
        ("GET", f"/{2**31}", {}),
        ("GET", "/1/diff/1", {"params": {"limit": 0}}),
        ("GET", "", {"params": {"limit": 501}}),
        ("POST", "", {"json": {"note": "x" * 1001}}),
        ("POST", "", {"json": {"notes": "x"}}),
        ("POST", "", {"json": []}),
    ],
)
def test_words_that_are_off_are_refused(store, browser, method, path, options):
    """With the field's name."""
    store.add(a_gemm_record())
    frozen(browser)
    refused(browser.request(method, GENERATIONS + path, **options), 422, "/problems/usage")


def test_a_difference_says_what_became_of_each_answer(store, browser):
    """Counts of all, and as many changes as were asked for."""
    store.add(a_gemm_record(us=10.0))
    store.add(a_gemm_record(layout="nt"))
    frozen(browser)
    store.add(a_gemm_record(us=5.0, config={"BLOCK_M": 128}))
    store.add(a_gemm_record(layout="tt"))
    frozen(browser)
    diff = browser.get(f"{GENERATIONS}/1/diff/2").json()
    DiffBody.model_validate(diff)
    assert diff["counts"] == {"new": 1, "gone": 0, "changed": 1, "timed": 0, "unchanged": 1}
    new, changed = diff["changes"]
    assert (new["kind"], new["problem"]["layout"], new["before"], new["ratio"]) == ("new", "tt", None, None)
    assert (changed["before"]["median_us"], changed["after"]["median_us"], changed["ratio"]) == (10.0, 5.0, 0.5)
    assert changed["target"] == {"name": "GPU X", "digest": a_target().digest}
    back = browser.get(f"{GENERATIONS}/2/diff/1", params={"limit": 1}).json()
    assert (back["counts"]["gone"], [change["kind"] for change in back["changes"]]) == (1, ["gone"])


def test_a_pinned_answer_is_the_frozen_bytes_for_ever(store, generations, browser):
    """Whatever is recorded later; it may be kept for ever, too."""
    store.add(a_gemm_record(us=9.0))
    frozen(browser)
    before = browser.get(PATH, params=AT_GPU | {"generation": 1})
    assert before.content.decode() == generations.frozen(1)[0].text
    AnswerBody.model_validate(before.json())
    assert (before.json()["generation"], before.json()["match"]) == (1, "exact")
    assert before.headers["cache-control"] == "max-age=31536000, immutable"
    store.add(a_gemm_record(us=1.0, config={"BLOCK_M": 256}))
    store.add(a_gemm_record(target_changes={"name": "GPU Y"}))
    after = browser.get(PATH, params=AT_GPU | {"generation": 1})
    assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])
    live = browser.get(PATH, params=AT_GPU)
    assert (live.json()["median_us"], live.json()["generation"]) == (1.0, None)
    assert live.headers["cache-control"] == "no-cache"


def test_words_mean_what_they_meant_when_it_was_frozen(store, browser):
    """A device that came later makes "the only device" no question."""
    store.add(a_gemm_record())
    frozen(browser)
    before = browser.get(PATH, params=SHAPE | {"generation": 1})
    store.add(a_gemm_record("cpu"))
    store.add(a_gemm_record(target_changes={"name": "GPU Y"}))
    assert browser.get(PATH, params=SHAPE).status_code == 422
    assert browser.get(PATH, params=SHAPE | {"generation": 1}).content == before.content
    assert browser.get(PATH, params=SHAPE | {"generation": 1, "device": "cuda"}).content == before.content
    refused(browser.get(PATH, params=SHAPE | {"generation": 1, "device": "cpu"}), 404, "/problems/no-answer")


def test_a_target_that_came_later_is_answered_from_what_was_frozen(store, browser):
    """Stale, though something exact is known by now."""
    store.add(a_gemm_record())
    frozen(browser)
    store.add(a_gemm_record(target_changes={"driver": "560.28"}))
    registered = a_target(driver="570.00")
    store.add_target(registered)
    for digest in (a_target(driver="560.28").digest, registered.digest):
        body = browser.get(PATH, params=SHAPE | {"target": digest, "generation": 1}).json()
        assert (body["match"], body["target"]["toolchain"]["driver"]) == ("stale", "550.54")
    unknown = browser.get(PATH, params=SHAPE | {"target": "f" * 32, "generation": 1})
    refused(unknown, 404, "/problems/unknown-target")


def test_who_holds_a_pinned_answer_is_not_sent_it_again(store, browser):
    """304, and it may still be kept for ever."""
    store.add(a_gemm_record())
    frozen(browser)
    asked = {"params": AT_GPU | {"generation": 1}}
    etag = browser.get(PATH, **asked).headers["etag"]
    held = browser.get(PATH, **asked, headers={"If-None-Match": etag})
    assert (held.status_code, held.content) == (304, b"")
    assert "immutable" in held.headers["cache-control"]


def test_a_pinned_miss_is_no_answer_to_keep(store, browser):
    """Of a problem that was known later; of a generation that may yet be frozen."""
    store.add(a_gemm_record())
    frozen(browser)
    store.add(a_gemm_record(layout="nt"))
    missed = browser.get(PATH, params=AT_GPU | {"generation": 1, "layout": "nt"})
    assert "layout: nt here, nn stored" in refused(missed, 404, "/problems/no-answer")["detail"]
    assert "cache-control" not in missed.headers
    unknown = browser.get(PATH, params=AT_GPU | {"generation": 2})
    refused(unknown, 404, "/problems/unknown-generation")
    assert "cache-control" not in unknown.headers
    for wrong in ("0", "-1", "x", "", "1.5"):
        response = browser.get(PATH, params=AT_GPU | {"generation": wrong})
        assert response.json()["type"] in ("/problems/unknown-generation", "/problems/usage")


def test_a_server_without_generations_knows_none(store, browse):
    """Of a memory store that is served as it is."""
    store.add(a_gemm_record())
    browser = browse(StoreServices(store))
    refused(browser.get(PATH, params=AT_GPU | {"generation": 1}), 404, "/problems/unknown-generation")


def test_hot_answers_of_a_generation_are_the_same_bytes(store, generations, browse):
    """From memory and from the store alike."""
    states = iter(["1", "1", "2", "2"])
    pins = Pins(generations)
    browser = browse(StoreServices(store, lambda: next(states), pins))
    store.add(a_gemm_record(us=9.0))
    GenerationServices(pins).freeze("", "tests")
    said = []
    for _ in range(4):
        said.append(browser.get(PATH, params=AT_GPU | {"generation": 1}))
        store.add(a_gemm_record(us=1.0, config={"BLOCK_M": 256}))
    assert len({response.content for response in said}) == 1
    assert len({json.dumps(sorted(response.headers.items())) for response in said}) == 1


@pytest.fixture
def pinned_browsers(store, generations, browser, browse, tmp_path):
    """A server that is pinned to generation 1 by its settings, and one over its file."""
    store.add(a_gemm_record(us=9.0))
    frozen(browser)
    export(generations.generation(1), generations.frozen(1), tmp_path / "g.jsonl.gz")
    store.add(a_gemm_record(us=1.0, config={"BLOCK_M": 256}))
    frozen(browser)
    file = FileGenerations.load(tmp_path / "g.jsonl.gz")
    made = []
    for pins in (Pins(generations, default=1), Pins(file, default=1)):
        services = PinnedServices(pins)
        one = browse(services)
        one.app = create_app(services, services.generation_services())
        made.append(one)
    return made


def test_a_pinned_server_answers_every_lookup_from_its_generation(pinned_browsers, generations):
    """The same bytes without and with the number; only with it they may be kept for ever."""
    for browser in pinned_browsers:
        plain, numbered = (browser.get(PATH, params=AT_GPU | more) for more in ({}, {"generation": 1}))
        assert plain.content == numbered.content == generations.frozen(1)[0].text.encode()
        assert (plain.headers["cache-control"], "immutable" in numbered.headers["cache-control"]) == ("no-cache", True)
        assert browser.get("/readyz").status_code == 200
        refused(browser.get(PATH, params=AT_GPU | {"layout": "nt"}), 404, "/problems/no-answer")


def test_a_pinned_server_knows_the_other_generations_and_a_file_does_not(pinned_browsers):
    """A file is one generation, and takes nothing."""
    database, file = pinned_browsers
    assert database.get(PATH, params=AT_GPU | {"generation": 2}).json()["median_us"] == 1.0
    refused(file.get(PATH, params=AT_GPU | {"generation": 2}), 404, "/problems/unknown-generation")
    assert [len(one.get(GENERATIONS).json()["generations"]) for one in pinned_browsers] == [2, 1]
    body = refused(file.request("POST", GENERATIONS, json={}), 409, "/problems/read-only")
    assert "neither holds records nor takes them" in body["detail"]


def test_every_outcome_is_described(browser):
    """OpenAPI names the bodies; every reference leads somewhere."""
    document = browser.get("/openapi.json").json()
    paths = document["paths"]
    assert {"get", "post"} <= set(paths[GENERATIONS])
    assert set(paths[f"{GENERATIONS}/{{number}}/diff/{{other}}"]["get"]["responses"]) == {"200", "404", "422", "503"}
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])
