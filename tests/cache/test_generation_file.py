"""A generation as a file: the same bytes out as in, and nothing taken that is not whole."""

from __future__ import annotations

import gzip
import json
import random
import stat

import pytest
from builders import a_key, a_problem, a_record
from contracts.generations_contract import freeze, texts
from kerntune.cache.generation_file import SCHEME, FileGenerations, export, is_file_url, path_of
from kerntune.cache.generations import Generation
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_generations import MemoryGenerations
from kerntune.cache.refusals import UnknownGeneration
from kerntune.spaces.errors import StoreError
from kerntune.tuner.freezing import winners


@pytest.fixture
def generations():
    """Two generations; the second has three answers."""
    store = MemoryStore()
    store.add(a_record(us=9.0))
    generations = MemoryGenerations(store)
    freeze(generations)
    for m in (16, 64):
        store.add(a_record(a_key(a_problem(m=m)), us=(1 / m, 2 / m)))
    freeze(generations, note="for é")
    return generations


@pytest.fixture(params=["g.jsonl", "g.jsonl.gz"])
def file(request, generations, tmp_path):
    path = tmp_path / request.param
    export(generations.generation(2), generations.frozen(2), path)
    return path


def test_what_comes_back_is_what_was_frozen(generations, file):
    """Every byte of every answer, and what is known of the generation."""
    loaded = FileGenerations.load(file)
    assert loaded.number == 2
    assert loaded.generation(2) == generations.generation(2)
    assert loaded.generations() == [generations.generation(2)]
    assert texts(loaded, 2) == texts(generations, 2)
    for m in (16, 64, 256, 8):
        digest = a_problem(m=m).digest
        assert loaded.frozen(2, digest) == generations.frozen(2, digest)


def test_it_holds_no_other_generation_and_takes_none(file):
    """Whose answers would it give?"""
    loaded = FileGenerations.load(file)
    for ask in (loaded.generation, loaded.frozen):
        with pytest.raises(UnknownGeneration):
            ask(1)
    assert loaded.generations(before=2) == []
    with pytest.raises(StoreError, match="neither holds records nor takes them"):
        freeze(loaded)


def test_the_same_generation_is_the_same_file(generations, file):
    """So that two exports can be compared, packed or not; and all may read it."""
    before = file.read_bytes()
    size = export(generations.generation(2), generations.frozen(2), file)
    assert file.read_bytes() == before
    assert size == len(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_the_header_says_what_it_is(generations, tmp_path):
    """The first line can be read by a person, and by a program of another make."""
    path = tmp_path / "g.jsonl"
    export(generations.generation(2), generations.frozen(2), path)
    header, *answers = path.read_text().splitlines()
    said = json.loads(header)
    assert (said["kerntune"], said["version"], said["number"], said["answers"]) == ("generation", 1, 2, 3)
    assert said["digest"] == generations.generation(2).digest
    assert answers == texts(generations, 2)


def test_a_packed_file_may_be_renamed(generations, tmp_path):
    """What it is stands in its bytes."""
    export(generations.generation(2), generations.frozen(2), tmp_path / "g.gz")
    (tmp_path / "g.gz").rename(tmp_path / "g.jsonl")
    assert texts(FileGenerations.load(tmp_path / "g.jsonl"), 2) == texts(generations, 2)


def test_no_byte_can_be_lost_or_changed_unnoticed(file, generations):
    """Cut off anywhere, or one byte another: an error that names the file, or the very same answers."""
    whole = file.read_bytes()
    rng = random.Random(7)
    for _ in range(150):
        cut = rng.randrange(len(whole))
        flipped = bytearray(whole)
        flipped[cut] ^= 1 << rng.randrange(8)
        for data in (whole[:cut], bytes(flipped), whole[:cut] + whole[cut + 1 :]):
            file.write_bytes(data)
            try:
                loaded = FileGenerations.load(file)
            except StoreError as error:
                assert str(file) in str(error)  # noqa: PT017 -- either outcome is right
            else:  # in what gzip says of its own making
                assert loaded.generation(2) == generations.generation(2)
                assert texts(loaded, 2) == texts(generations, 2)


def rewritten(path, change):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    path.write_text("".join(json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n" for line in lines))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[0].update(version=2), "newer kerntune .format 2; this one reads 1.*Upgrade"),
        (lambda lines: lines[0].update(kerntune="study"), "is no generation that kerntune exported"),
        (lambda lines: lines[0].update(number=7), "is damaged: its checksum"),
        (lambda lines: lines[0].update(answers=2), "goes on after its 2 answers"),
        (lambda lines: lines[0].update(answers=4), "it has 3 of its 4 answers"),
        (lambda lines: lines[0].update(answers=10**12), "damaged: answers is"),
        (lambda lines: lines[0].pop("digest"), "damaged: digest is missing"),
        (lambda lines: lines[1].update(median_us=0.001), "is damaged: its checksum"),
        (lambda lines: lines[1].pop("config"), "damaged: line 2: not an answer"),
        (lambda lines: lines.reverse(), "is no generation"),
        (lambda lines: lines.clear(), "is no generation"),
    ],
)
def test_what_was_tampered_with_is_refused_with_the_reason(generations, tmp_path, change, words):
    """And with what to do."""
    path = tmp_path / "g.jsonl"
    export(generations.generation(2), generations.frozen(2), path)
    rewritten(path, change)
    with pytest.raises(StoreError, match=words):
        FileGenerations.load(path)


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b", b"SQLite format 3\0", b"[" * 10**5, b"{}\n", b"\xff" * 3 * 2**20])
def test_another_file_is_refused(tmp_path, data):
    """Whatever it is, in words."""
    path = tmp_path / "other"
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"other (is no generation|is damaged)"):
        FileGenerations.load(path)


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused_early(tmp_path):
    """A line has a bound, and so has the number of lines."""
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"[" * 2**24))
    with pytest.raises(StoreError, match="a line is longer than"):
        FileGenerations.load(path)


def test_a_file_that_is_not_there_is_said(generations, tmp_path):
    """A folder is no file either."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(StoreError, match=r"cannot be read: .*tune generations export"):
            FileGenerations.load(path)
    with pytest.raises(StoreError, match="cannot be written"):
        export(generations.generation(2), generations.frozen(2), tmp_path / "no" / "folder")


def test_answers_that_are_not_what_was_frozen_are_not_exported(generations, tmp_path):
    """A damaged database makes no whole file."""
    made: Generation = generations.generation(2)
    for answers in (generations.frozen(1), generations.frozen(2)[:-1]):
        with pytest.raises(StoreError, match="generation 2 is damaged"):
            export(made, answers, tmp_path / "g.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_the_url_of_a_file(tmp_path, monkeypatch):
    """`generation:FILE`, with or without slashes before an absolute path."""
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.chdir(tmp_path)
    assert is_file_url(f"{SCHEME}x")
    assert not is_file_url("sqlite:///generation:x")
    said = {url: str(path_of(url)) for url in ("generation:/a/b", "generation:///a/b", "generation:~/b")}
    assert said == {"generation:/a/b": "/a/b", "generation:///a/b": "/a/b", "generation:~/b": "/home/ada/b"}
    assert path_of("generation:b") == tmp_path / "b"
    with pytest.raises(StoreError, match="names no file"):
        path_of("generation:")


def test_a_frozen_answer_keeps_what_a_later_kerntune_says(generations):
    """A file of tomorrow's fields is passed on as it is, where its format is the same."""
    (frozen, *_) = generations.frozen(2)
    later = frozen.with_values({"tomorrow": [1]})
    assert later.answer == frozen.answer
    assert later.with_values({"generation": 5}).data["tomorrow"] == [1]
    assert winners([]) == []
