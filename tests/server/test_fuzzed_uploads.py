"""Whatever is uploaded: no 5xx, no traceback; and what is accepted reads back equal."""

import asyncio
import json
from contextlib import closing
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kerntune.cache.rules import at_the_door
from kerntune.cache.sql import SqlStore
from kerntune.cache.wire_records import record_from_json
from kerntune.cache.wire_targets import target_checked
from kerntune.server.app import create_app
from kerntune.tuner.record_checks import RecordChecks
from kerntune.tuner.record_services import StoreRecordServices
from kerntune.tuner.serving import StoreServices
from uploads import ANYTHING, NOW, VALID, nested, paths, sent, spoilt

# The database is the same for all examples: it only ever grows.
FUZZED = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
INCIDENTS = [{name: VALID[0][name] for name in ("problem", "target", "policy")} | {"kind": "memory", "reason": "full"}]
TARGETS = [VALID[0]["target"], VALID[1]["target"]]


class Client:
    """Asks an application over one event loop; an error inside it is raised here."""

    def __init__(self, app, runner):
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
        self._runner = runner

    def get(self, path, **options):
        return self._runner.run(self._client.get(path, **options))

    def post(self, path, **options):
        return self._runner.run(self._client.post(path, **options))

    def close(self):
        self._runner.run(self._client.aclose())


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def client(request, tmp_path):
    """Of the whole application, over a database."""
    url = f"sqlite:///{tmp_path}/f.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with closing(SqlStore.open(url)) as store:
        services = StoreRecordServices(store, RecordChecks(now=lambda: NOW))
        app = create_app(StoreServices(store), record_services=services)
        with asyncio.Runner() as runner, closing(Client(app, runner)) as client:
            yield client


def posted(client, path, body):
    response = client.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code < 500, response.text
    assert "Traceback" not in response.text
    if response.status_code != 200:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["detail"].isprintable()
        assert len(response.text) < 10_000
    return response


def check_upload(client, upload):
    """One record alone: refused with a reason, or kept as it was read."""
    response = posted(client, "/v1/records", sent({"records": [upload]}))
    if response.status_code != 200:
        return
    done = response.json()
    assert done["added"] + done["known"] + len(done["refused"]) == 1
    if done["refused"]:
        reason = done["refused"][0]["reason"]
        assert reason.isprintable()
        assert 0 < len(reason) <= 500
        return
    record = at_the_door(record_from_json(json.loads(sent(upload))))
    words = {"problem": record.key.problem.digest, "target": record.key.target.digest, "limit": 500}
    page = client.get("/v1/records", params=words)
    assert page.status_code == 200, page.text
    read = [record_from_json(one) for one in page.json()["records"]]
    assert record in read or page.json()["next"] is not None


@FUZZED
@given(upload=spoilt())
def test_a_spoilt_record_is_refused_or_kept_as_it_is(client, upload):
    """Wrong types, numbers and words at every place."""
    check_upload(client, upload)


def test_every_place_takes_every_wrong_type_without_a_fault(client):
    """One after the other, all of them."""
    for valid in VALID:
        for path in paths(valid):
            for wrong in (None, "\x00", 10**400, float("nan"), [], {}, "\ud800", True):
                if path:
                    check_upload(client, put(valid, path, wrong))


def put(value, path, wrong):
    """The value with something else in one place."""
    if not path:
        return wrong
    changed = value.copy()
    changed[path[0]] = put(value[path[0]], path[1:], wrong)
    return changed


@FUZZED
@given(body=st.one_of(ANYTHING, st.fixed_dictionaries({"records": ANYTHING})))
@example(body={"records": []})
@example(body={"records": [{}] * 1001})
@example(body={"records": nested(300, dict)})
def test_a_body_of_anything_is_refused(client, body):
    """As an upload, an incident and a target."""
    for path in ("/v1/records", "/v1/incidents", "/v1/targets"):
        posted(client, path, sent(body))


@pytest.mark.parametrize("kind", [list, dict])
def test_a_body_is_refused_however_deep_it_is(client, kind):
    """Where the reader of JSON gives up, and just before."""
    for depth in [*range(300, 1100, 7), 3000, 100_000]:
        inner, outer = ("[" * depth, "]" * depth) if kind is list else ('{"x":' * depth + "1", "}" * depth)
        for path in ("/v1/records", "/v1/incidents", "/v1/targets"):
            body = f'{{"records": {inner}{outer}, "problem": {inner}{outer}, "kind": {inner}{outer}}}'.encode()
            assert posted(client, path, body).status_code in (400, 422)


@FUZZED
@given(body=st.binary(max_size=200))
@example(body=b"")
@example(body=b"\xff\xfe{}")
@example(body=b'{"records": [' + b"9" * 5000 + b"]}")
@example(body=b'{"records": [{"problem": 1e999}]}')
@example(body=b'{"records": [{}], "records": 1}')
def test_bytes_of_any_kind_are_refused(client, body):
    """Text in other encodings, numbers beyond any bound."""
    for path in ("/v1/records", "/v1/incidents", "/v1/targets"):
        assert posted(client, path, body).status_code in (200, 400, 422)


@FUZZED
@given(incident=spoilt(INCIDENTS))
def test_a_spoilt_incident_is_refused_or_kept(client, incident):
    """With a problem body where it is refused."""
    posted(client, "/v1/incidents", sent(incident))


@FUZZED
@given(target=spoilt(TARGETS))
def test_a_spoilt_target_is_refused_or_reads_back_equal(client, target):
    """By the digest that the answer names."""
    response = posted(client, "/v1/targets", sent(target))
    if response.status_code == 200:
        read = client.get(f"/v1/targets/{response.json()['digest']}")
        assert target_checked(read.json()) == target_checked(json.loads(sent(target)))


@FUZZED
@given(words=st.dictionaries(st.sampled_from(["op", "problem", "target", "cursor", "limit"]), st.text(max_size=30)))
@example(words={"op": "\x00", "problem": "a\x00"})
@example(words={"target": "\ud800"})
@example(words={"cursor": "r7fffffffffffffff", "limit": "٣"})
def test_a_page_of_anything_is_a_page_or_a_refusal(client, words):
    """NUL, which no database takes; digits of other scripts."""
    query = urlencode({name: text.encode(errors="surrogatepass") for name, text in words.items()})
    response = client.get(f"/v1/records?{query}")
    assert response.status_code in (200, 422), response.text


@FUZZED
@given(digest=st.text(max_size=40))
@example(digest="\x00")
@example(digest="f" * 32)
def test_a_target_of_any_name_is_not_there(client, digest):
    """Whatever stands in the path."""
    response = client.get(f"/v1/targets/{quote(digest.encode(errors='surrogatepass'), safe='')}")
    assert response.status_code in (200, 404, 422), response.text
