"""The binary cache: what is kept, what is never loaded, and many processes at once."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from kerntune.tuner.backends import binary_cache, trusted_folder
from kerntune.tuner.backends.binary_cache import BinaryCache, Entry
from kerntune.tuner.backends.trusted_folder import write_whole

ENTRY = Entry(b"\x7fELF \n\0 binary", {"registers": 40})


@pytest.fixture
def cache(tmp_path):
    """A cache that is not there yet."""
    made = BinaryCache(tmp_path / "cache" / "binaries")
    yield made
    made.close()


def file_of(cache, key="key"):
    return cache.folder / f"{key}.bin"


def test_what_was_put_is_there_for_another_process_with_its_facts(cache):
    """Another instance shares nothing with the first but the disk."""
    assert cache.get("key") is None
    cache.put("key", ENTRY)
    assert BinaryCache(cache.folder).get("key") == ENTRY
    assert cache.get("other") is None


def test_looking_makes_nothing(cache):
    """A lookup, or the doctor, leaves the disk alone."""
    assert cache.get("key") is None
    assert cache.usage().entries == 0
    assert not cache.folder.parent.exists()


def test_only_its_owner_may_enter(cache):
    """0700, and 0600 within."""
    cache.put("key", ENTRY)
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    assert file_of(cache).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
def test_a_truncated_file_is_a_miss_and_is_removed(cache, cut):
    """A crash of the machine may leave a part."""
    cache.put("key", ENTRY)
    file_of(cache).write_bytes(file_of(cache).read_bytes()[:cut])
    assert cache.get("key") is None
    assert not file_of(cache).exists()


def test_every_flipped_bit_is_a_miss(cache):
    """In the binary, in the facts, in the key and in the hash."""
    cache.put("key", ENTRY)
    whole = file_of(cache).read_bytes()
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 1 << place % 8
        file_of(cache).write_bytes(altered)
        assert cache.get("key") is None, place
        assert not file_of(cache).exists()


@pytest.mark.parametrize("garbage", [b"", b"[]\nx", b"null\n", b'{"key": "key"}\nx', b"[" * 60_000, b"x" * 200_000])
def test_garbage_is_a_miss(cache, garbage):
    """Whatever stands there, nothing is raised and nothing is loaded."""
    cache.put("key", ENTRY)
    file_of(cache).write_bytes(garbage)
    assert cache.get("key") is None


def test_an_entry_under_another_name_is_a_miss(cache):
    """A kernel renamed over another would be measured in its place."""
    cache.put("one", ENTRY)
    file_of(cache, "one").rename(file_of(cache, "two"))
    assert cache.get("two") is None


def test_a_file_others_may_write_is_a_miss(cache):
    """Its hash may be theirs as well."""
    cache.put("key", ENTRY)
    file_of(cache).chmod(0o666)
    assert cache.get("key") is None
    assert not file_of(cache).exists()


def test_a_link_is_a_miss_and_what_it_points_to_stays(cache, tmp_path):
    """Neither followed nor trusted."""
    cache.put("key", ENTRY)
    elsewhere = tmp_path / "elsewhere"
    file_of(cache).rename(elsewhere)
    file_of(cache).symlink_to(elsewhere)
    assert cache.get("key") is None
    assert not file_of(cache).is_symlink()
    assert elsewhere.exists()


def test_a_pipe_is_a_miss_and_nobody_waits(cache):
    """Opening one without a writer would block for ever."""
    cache.put("key", ENTRY)
    file_of(cache).unlink()
    os.mkfifo(file_of(cache), 0o600)
    assert cache.get("key") is None


def test_a_file_of_another_user_is_a_miss(cache, monkeypatch):
    """Seen here as: we are somebody else now."""
    cache.put("key", ENTRY)
    assert cache.get("key") == ENTRY  # the folder is open
    stranger = os.geteuid() + 1
    monkeypatch.setattr(trusted_folder.os, "geteuid", lambda: stranger)
    assert cache.get("key") is None


def test_a_folder_of_another_user_is_not_used_and_that_is_said(cache, monkeypatch):
    """Others could place code there."""
    cache.put("key", ENTRY)
    stranger = os.geteuid() + 1
    monkeypatch.setattr(trusted_folder.os, "geteuid", lambda: stranger)
    other = BinaryCache(cache.folder)
    assert other.get("key") is None
    other.put("new", ENTRY)
    assert [path.name for path in cache.folder.iterdir()] == ["key.bin"]
    assert f"belongs to user {stranger - 1}, not to user {stranger}" in other.refusal()
    assert "KERNTUNE_CACHE_DIR" in other.refusal()


@pytest.mark.parametrize(
    ("mode", "said"), [(0o770, "lets others write"), (0o707, "lets others write"), (0o500, "keeps its owner out")]
)
def test_a_folder_with_a_dangerous_mode_is_not_used_and_that_is_said(cache, mode, said):
    """It is not mended in silence: who could write there may have."""
    cache.put("key", ENTRY)
    cache.folder.chmod(mode)
    other = BinaryCache(cache.folder)
    assert other.get("key") is None
    assert f"its mode {mode:04o} {said}" in other.refusal()
    assert cache.folder.stat().st_mode & 0o777 == mode


def test_a_folder_that_is_a_link_is_not_used(cache, tmp_path):
    """It may point to where others write."""
    cache.put("key", ENTRY)
    link = tmp_path / "link"
    link.symlink_to(cache.folder)
    other = BinaryCache(link)
    assert other.get("key") is None
    assert "it is not a folder" in other.refusal()


def test_a_good_folder_and_none_are_not_refused(cache):
    """Nothing to say."""
    assert cache.refusal() is None
    cache.put("key", ENTRY)
    assert cache.refusal() is None


def test_the_folder_that_was_checked_is_the_folder_that_is_used(cache):
    """Whoever may write above it cannot put another one in its place."""
    cache.put("key", ENTRY)
    cache.folder.rename(cache.folder.with_name("moved"))
    cache.folder.mkdir(mode=0o777)
    file_of(cache).write_bytes(b"planted")
    assert cache.get("key") == ENTRY


def test_the_least_recently_used_entries_go(tmp_path, monkeypatch):
    """A hit counts as use; the newest stays."""
    monkeypatch.setattr(binary_cache, "LOOK_EVERY", 1e9)  # count at every put
    cache = BinaryCache(tmp_path / "binaries", limit_bytes=5_000)
    for number in range(4):
        cache.put(f"old{number}", Entry(b"x" * 1_000, {}))
        os.utime(file_of(cache, f"old{number}"), (number, number))
    assert cache.get("old0") is not None
    cache.put("new", Entry(b"x" * 1_000, {}))
    left = {path.stem for path in cache.folder.iterdir()}
    assert cache.usage().size_bytes <= 5_000
    assert {"old0", "new"} <= left
    assert "old1" not in left
    cache.close()


def test_a_small_disk_lowers_the_limit(tmp_path, monkeypatch):
    """The cache takes half of what is free at most."""
    monkeypatch.setattr(binary_cache, "LOOK_EVERY", 1e9)
    monkeypatch.setattr(binary_cache, "half_of_the_disk", lambda folder, held_bytes: 3_000)
    cache = BinaryCache(tmp_path / "binaries")
    for number in range(6):
        cache.put(f"key{number}", Entry(b"x" * 1_000, {}))
    assert cache.usage().size_bytes <= 3_000
    cache.close()


def test_what_a_killed_process_left_aside_goes_after_a_while(cache, monkeypatch):
    """What another one is writing now stays."""
    monkeypatch.setattr(binary_cache, "LOOK_EVERY", 1e9)
    cache.put("key", ENTRY)
    old, fresh = cache.folder / "a.1.x.new", cache.folder / "b.1.x.new"
    old.write_bytes(b"part")
    fresh.write_bytes(b"part")
    os.utime(old, (time.time() - 7200,) * 2)
    cache.put("other", ENTRY)
    assert not old.exists()
    assert fresh.exists()
    assert cache.usage().entries == 2


def test_a_full_disk_is_an_error_and_leaves_nothing(cache, monkeypatch):
    """Neither an entry nor what was written aside."""
    cache.put("key", ENTRY)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(binary_cache.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        cache.put("other", ENTRY)
    assert [path.name for path in cache.folder.iterdir()] == ["key.bin"]


def test_a_file_is_replaced_whole(tmp_path):
    """Who has the old one mapped keeps it."""
    path = tmp_path / "kernel.so"
    write_whole(path, b"old")
    with path.open("rb") as held:
        write_whole(path, b"new")
        assert held.read() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


STORM = """
import sys
from pathlib import Path
from kerntune.tuner.backends import binary_cache
binary_cache.LOOK_EVERY = 1e9
cache = binary_cache.BinaryCache(Path(sys.argv[1]), limit_bytes=30_000)
hits = 0
for turn in range(400):
    key = f"key{turn * int(sys.argv[2]) % 37}"
    expected = binary_cache.Entry(key.encode() * 300, {"key": key})
    entry = cache.get(key)
    assert entry is None or entry == expected
    hits += entry is not None
    if entry is None:
        cache.put(key, expected)
print(hits)
"""


def test_processes_that_put_get_and_evict_at_once_never_see_half_an_entry(tmp_path):
    """Three of them over 37 keys, of which 30 kB have room."""
    folder = tmp_path / "cache" / "binaries"
    running = [
        subprocess.Popen([sys.executable, "-c", STORM, str(folder), stride], stdout=subprocess.PIPE, text=True)
        for stride in ("5", "7", "11")
    ]
    hits = [int(process.communicate(timeout=120)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sum(hits) > 0
    cache = BinaryCache(folder)
    assert cache.usage().size_bytes <= 30_000
    assert all(path.suffix == ".bin" for path in folder.iterdir())
    cache.close()


def test_threads_share_one_cache(cache):
    """The engine compiles on several."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda turn: cache.put(f"key{turn % 5}", ENTRY), range(100)))
        found = list(pool.map(lambda turn: cache.get(f"key{turn % 5}"), range(100)))
    assert set(map(str, found)) == {str(ENTRY)}
