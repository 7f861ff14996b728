"""What the server refuses, and how it says so."""

import pytest
from asking import PATH, SHAPE, a_gemm_record, refused
from kerntune.cache.memory import MemoryStore
from kerntune.spaces.errors import StoreError
from kerntune.tuner.serving import StoreServices


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": "64x128"}, "3 dims"),
        ({"shape": "64x128xK"}, 'k is "k"'),
        ({"dtype": "fp3"}, 'Did you mean "fp32"'),
        ({"batch": "0"}, "at least 1"),
        ({"batch": "two"}, 'batch is "two"'),
        ({"policy": "hot"}, "'cold' or 'warm'"),
        ({"min_match": "close"}, "min_match"),
        ({"device": ""}, "device is empty"),
        ({"dytpe": "fp16"}, 'Did you mean "dtype"'),
        ({"M": "64"}, "Known: "),
    ],
)
def test_words_that_are_off_are_refused_and_mended(store, browser, change, said):
    """What, where, how to mend; above all, a typo never gives another problem's config."""
    store.add(a_gemm_record())
    response = browser.get(PATH, params=SHAPE | change)
    assert said in refused(response, 422, "/problems/usage")["detail"]


def test_a_missing_shape_is_named(browser):
    """FastAPI's own errors become problem bodies too."""
    assert "shape is missing" in refused(browser.get(PATH), 422, "/problems/usage")["detail"]


def test_a_parameter_given_twice_is_refused(browser):
    """Which of the two would hold?"""
    response = browser.get(f"{PATH}?shape=1x1x1&dtype=fp32&dtype=bf16")
    assert "dtype is given twice" in refused(response, 422, "/problems/usage")["detail"]


@pytest.mark.parametrize("name", ["shape", "device", "target", "epilogue", "flags", "surprise" * 500])
def test_a_long_value_is_refused_and_not_repeated(browser, name):
    """An error body stays small whatever was sent."""
    response = browser.get(PATH, params={"shape": "1x1x1"} | {name: "x" * 10_000})
    body = refused(response, 422, "/problems/usage")
    assert "x" * 100 not in body["detail"]
    assert len(body["detail"]) < 500


@pytest.mark.parametrize("word", ["\x1b[2J", "\x00", "\x7f", "\x9b31m", "\u202e", "a\nb"])
def test_control_characters_are_refused_and_never_repeated(browser, word):
    """Neither as a value nor as a name, neither raw nor behind the escapes of JSON."""
    for params in ({"device": word}, {f"x{word}": "1"}):
        body = refused(browser.get(PATH, params={"shape": "1x1x1"} | params), 422, "/problems/usage")
        assert body["detail"].isprintable()


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/configs/nothing", 404), ("POST", PATH, 405)])
def test_a_path_or_method_that_is_not_there_is_a_problem_body_too(browser, method, path, status):
    """With the place that lists what is there."""
    body = refused(browser.request(method, path), status, "about:blank")
    assert "/openapi.json" in body["detail"]


@pytest.mark.parametrize("path", ["/v1/records?op=%00", "/v1/records?opp=gemm", "/v1/records?op="])
def test_words_that_no_store_could_hold_do_not_reach_it(browser, path):
    """PostgreSQL would take none of them, and is not to blame."""
    refused(browser.get(path), 422, "/problems/usage")


def test_a_store_that_fails_is_503(browse):
    """The caller did nothing wrong, and may come back."""

    class LostStore(MemoryStore):
        def targets(self):
            raise StoreError("the database is gone: look for it.")

    response = browse(StoreServices(LostStore())).get(PATH, params=SHAPE)
    assert refused(response, 503, "/problems/store")["detail"] == "the database is gone: look for it."


def test_our_own_bug_is_500_and_tells_nothing_of_the_inside(browse):
    """Neither message nor traceback; they stand in the server's log."""

    class BrokenStore(MemoryStore):
        def targets(self):
            raise RuntimeError("secret of the password file")

    response = browse(StoreServices(BrokenStore())).get(PATH, params=SHAPE)
    refused(response, 500, "/problems/internal")
    assert "secret" not in response.text
    assert "Traceback" not in response.text
