"""The table of scopes names every route there is."""

import re

import pytest
from kerntune.server.scopes import PUBLIC, TABLE, named, needed


def test_every_route_stands_in_the_table(browser):
    """A new route without a line here would need admin."""
    app = browser.app
    document = app.openapi()["paths"]
    asked = [(method.upper(), path) for path, operations in document.items() for method in operations]
    plain = [
        (method, route.path)
        for route in app.routes
        if hasattr(route, "path")
        for method in getattr(route, "methods", ())
    ]
    paths = {(method, re.sub(r"\{[^}]*\}", "x", path)) for method, path in [*asked, *plain] if path not in PUBLIC}
    assert ("GET", "/openapi.json") in paths
    assert [pair for pair in sorted(paths) if named(*pair) is None] == []


def test_a_plain_path_goes_before_one_with_a_blank():
    """A job is not called claim."""
    assert needed("POST", "/v1/jobs/claim") == {"record"}
    assert named("GET", "/v1/jobs/claim") == {"read"}


@pytest.mark.parametrize(
    "path", ["", "/", "/v1", "/v1/configs/", "/v1/configs/*/x", "/v1/jobs/7/", "/V1/jobs", "//metrics"]
)
def test_what_the_table_does_not_name_needs_admin(path):
    """Nothing is open because nobody thought of it."""
    assert named("GET", path) is None
    assert needed("GET", path) == {"admin"}


def test_nothing_in_the_table_is_public():
    """Two paths are, and they stand elsewhere."""
    assert not {path for _, path in TABLE} & PUBLIC
