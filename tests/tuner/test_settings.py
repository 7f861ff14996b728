"""The environment, read in one place."""

import pytest
from kerntune.spaces.errors import UsageError
from kerntune.tuner import settings


def test_an_empty_environment_gives_the_defaults():
    """An SQLite file in the user's data directory; no server, no key, all cores."""
    read = settings.read({})
    assert read.db_url.startswith("sqlite:///")
    assert read.db_url.endswith("kerntune.db")
    assert (read.server_url, read.api_key, read.threads, read.compiler) == (None, None, None, None)


def test_each_variable_is_read():
    """An empty value counts as unset."""
    env = {
        "KERNTUNE_DB": "postgresql://h/d",
        "KERNTUNE_SERVER": "http://h:1",
        "KERNTUNE_API_KEY": "secret",
        "KERNTUNE_CACHE_DIR": "/c",
        "OMP_NUM_THREADS": "3,2",
        "KERNTUNE_EXPLAIN": "1",
        "CC": "",
    }
    read = settings.read(env)
    assert (read.db_url, read.server_url, str(read.cache_dir)) == ("postgresql://h/d", "http://h:1", "/c")
    assert (read.threads, read.compiler, read.explain) == (3, None, True)


def test_a_key_is_never_shown():
    """Settings end up in logs."""
    assert "secret" not in repr(settings.read({"KERNTUNE_API_KEY": "secret"}))


@pytest.mark.parametrize("text", ["many", "0", "-1", "2.5"])
def test_a_thread_count_that_is_none_is_refused(text):
    """Naming the variable."""
    with pytest.raises(UsageError, match="OMP_NUM_THREADS"):
        settings.read({"OMP_NUM_THREADS": text})


def test_a_server_has_settings_of_its_own():
    """Each is read; an empty environment gives the defaults."""
    assert settings.read_server({}) == settings.ServerSettings("127.0.0.1", (), 500, 1000, "warnings")
    env = {
        "KERNTUNE_HOST": "0.0.0.0",
        "KERNTUNE_ALLOWED_HOSTS": "box, kerntune.internal,",
        "KERNTUNE_RATE": "0",
        "KERNTUNE_SUBMITS_PER_HOUR": "7",
        "KERNTUNE_LOG": "json",
    }
    read = settings.read_server(env)
    assert read == settings.ServerSettings("0.0.0.0", ("box", "kerntune.internal"), 0, 7, "json")


@pytest.mark.parametrize(
    ("name", "text"), [("KERNTUNE_RATE", "-1"), ("KERNTUNE_SUBMITS_PER_HOUR", "many"), ("KERNTUNE_LOG", "xml")]
)
def test_a_word_a_server_cannot_use_is_refused(name, text):
    """Naming the variable."""
    with pytest.raises(UsageError, match=name):
        settings.read_server({name: text})
