"""What every Keys does. An implementation's test class inherits KeysContract and gives the fixture `keys`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import A_STAMP
from kerntune.cache.keys import ApiKey, Keys
from kerntune.spaces.errors import UnknownName, UsageError


def an_api_key(number: int = 1, **changes: object) -> ApiKey:
    """A key that may read, made `number` minutes after A_STAMP, but for `changes`."""
    made_at = A_STAMP + timedelta(minutes=number)
    key = ApiKey(f"k{number:011}", f"user {number}", f"{number:064x}", ("read",), made_at)
    return replace(key, **changes)


LATER = A_STAMP + timedelta(days=1)


class KeysContract:
    """The laws of the port. The subclass gives empty `keys` for each test."""

    def test_a_key_comes_back_as_it_was_added(self, keys: Keys) -> None:
        """Every field; the oldest first."""
        second = an_api_key(2, scopes=("submit", "record"), expires_at=LATER)
        keys.add(second)
        keys.add(an_api_key(1))
        assert keys.all() == [an_api_key(1), second]

    def test_a_name_is_cleaned_and_scopes_stand_in_order(self, keys: Keys) -> None:
        """Nothing that steers a terminal comes back."""
        keys.add(an_api_key(name="ci\x1b[31m\n", scopes=("record", "read", "read")))
        assert [(key.name, key.scopes) for key in keys.all()] == [("ci", ("read", "record"))]

    @pytest.mark.parametrize("changes", [{"name": " "}, {"name": "x" * 101}, {"scopes": ()}, {"scopes": ("root",)}])
    def test_a_key_that_says_too_little_is_refused(self, keys: Keys, changes: dict[str, object]) -> None:
        """And none is kept."""
        with pytest.raises(UsageError):
            keys.add(an_api_key(**changes))
        assert keys.all() == []

    def test_a_revoked_key_stays_revoked_at_the_first_moment(self, keys: Keys) -> None:
        """Revoking it again changes nothing."""
        keys.add(an_api_key())
        gone = keys.revoke(an_api_key().id, LATER)
        assert gone == replace(an_api_key(), revoked_at=LATER) == keys.revoke(gone.id, LATER + timedelta(1))
        assert keys.all() == [gone]
        assert not gone.is_usable(A_STAMP)

    def test_an_unknown_id_is_told_what_there_is(self, keys: Keys) -> None:
        """For each way to end a key."""
        keys.add(an_api_key())
        with pytest.raises(UnknownName, match=an_api_key().id):
            keys.revoke("nobody", LATER)
        with pytest.raises(UnknownName, match=an_api_key().id):
            keys.rotate("nobody", an_api_key(2), LATER)
        assert keys.all() == [an_api_key()]

    def test_rotation_keeps_the_new_and_lets_the_old_end(self, keys: Keys) -> None:
        """At the moment named."""
        keys.add(an_api_key())
        old = keys.rotate(an_api_key().id, an_api_key(2), LATER)
        assert old == replace(an_api_key(), expires_at=LATER)
        assert keys.all() == [old, an_api_key(2)]
        assert old.is_usable(LATER - timedelta(seconds=1))
        assert not old.is_usable(LATER)

    def test_rotation_makes_no_key_last_longer(self, keys: Keys) -> None:
        """One that was to end sooner does."""
        soon = A_STAMP + timedelta(hours=1)
        keys.add(an_api_key(expires_at=soon))
        assert keys.rotate(an_api_key().id, an_api_key(2), LATER).expires_at == soon

    def test_a_key_that_has_ended_is_not_rotated(self, keys: Keys) -> None:
        """A lost key would come to life again."""
        keys.add(an_api_key())
        keys.revoke(an_api_key().id, A_STAMP)
        with pytest.raises(UsageError, match="was revoked"):
            keys.rotate(an_api_key().id, an_api_key(2), LATER)
        assert len(keys.all()) == 1

    def test_the_last_use_is_the_latest_one_noted(self, keys: Keys) -> None:
        """Whatever the order in which servers say it; an unknown key is nobody's business."""
        keys.add(an_api_key())
        for at in (A_STAMP, LATER, A_STAMP):
            keys.used(an_api_key().id, at)
        keys.used("nobody", LATER)
        assert [key.last_used_at for key in keys.all()] == [LATER]

    def test_threads_may_add_at_once(self, keys: Keys) -> None:
        """No lock is the caller's business."""
        made = [an_api_key(number) for number in range(20)]
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(keys.add, made))
        assert keys.all() == made

    def test_close_may_be_called_twice(self, keys: Keys) -> None:
        """Whoever cleans up need not ask who did before."""
        keys.close()
        keys.close()
