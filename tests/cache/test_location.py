"""Where a database may lie, and what is said of a URL that names none."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from kerntune.cache import location
from kerntune.cache.location import locate, network_file_system, prepare_file
from kerntune.spaces.errors import StoreError

MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/vdb /home/ann/scratch xfs rw 0 0
//nas/share /mnt/my\\040share cifs rw 0 0
ann@host:/ /mnt/host fuse.sshfs rw 0 0
lake /lustre lustre rw 0 0
C:\\134 /mnt/c 9p rw,aname=drvfs,trans=fd2 0 0
none /sandbox 9p rw,trans=fd,rfdno=4 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/kerntune.db", None),
        ("/home/bob/kerntune.db", "nfs4"),
        ("/home/ann/scratch/kerntune.db", None),
        ("/homestead/kerntune.db", None),
        ("/mnt/my share/kerntune.db", "cifs"),
        ("/mnt/host/kerntune.db", "fuse.sshfs"),
        ("/lustre/kerntune.db", "lustre"),
        ("/mnt/c/kerntune.db", "9p"),
        ("/sandbox/kerntune.db", None),
    ],
)
def test_the_longest_mount_point_tells_the_file_system(path, kind):
    """A local disk mounted inside a network's is local, and the other way round."""
    assert network_file_system(Path(path), MOUNTS) == kind


def test_of_mounts_on_one_point_the_last_counts():
    """A mount hides what was mounted there before."""
    mounts = "a /data ext4 rw 0 0\nb /data nfs rw 0 0\n"
    assert network_file_system(Path("/data/k.db"), mounts) == "nfs"


def test_a_file_on_a_network_file_system_is_refused(tmp_path, monkeypatch):
    """The message names the path, the file system and two ways out; no file is made."""
    monkeypatch.setattr(location, "network_file_system", lambda path, mounts: "nfs4")
    with pytest.raises(StoreError, match=r"k\.db lies on a network file system \(nfs4\).*KERNTUNE_DB.*--server"):
        prepare_file(tmp_path / "new" / "k.db")
    assert not (tmp_path / "new").exists()


def test_folder_and_file_are_the_users_alone(tmp_path):
    """Folders that are made get 0700, the file 0600; a folder that was there keeps its mode."""
    tmp_path.chmod(0o755)
    prepare_file(tmp_path / "a" / "b" / "k.db")
    modes = [stat.S_IMODE((tmp_path / part).stat().st_mode) for part in ("", "a", "a/b", "a/b/k.db")]
    assert modes == [0o755, 0o700, 0o700, 0o600]


def test_a_file_that_is_there_is_left_as_it_is(tmp_path):
    """Preparing twice changes nothing."""
    path = tmp_path / "k.db"
    path.write_bytes(b"what was there")
    prepare_file(path)
    assert path.read_bytes() == b"what was there"


def test_a_path_that_cannot_be_made_is_a_store_error(tmp_path):
    """A file where a folder should be is told by name."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"k\.db cannot be made or opened: Not a directory .*KERNTUNE_DB"):
        prepare_file(tmp_path / "file" / "k.db")


def test_a_link_that_leads_nowhere_is_a_store_error(tmp_path):
    """Also a circle of links is only a file that cannot be opened."""
    (tmp_path / "k.db").symlink_to("k.db")
    with pytest.raises(StoreError, match=r"k\.db cannot be made or opened: "):
        prepare_file(tmp_path / "k.db")


def test_a_relative_path_is_fixed_at_once(tmp_path, monkeypatch):
    """A later change of folder does not move the database."""
    monkeypatch.chdir(tmp_path)
    assert locate("sqlite:///k.db").path == tmp_path / "k.db"


@pytest.mark.parametrize("url", ["postgresql://u:secret@h/d", "postgresql+psycopg://u:secret@h/d"])
def test_postgresql_is_spoken_through_psycopg_3(url):
    """Whichever default SQLAlchemy has, the driver is ours; the password is not shown."""
    place = locate(url)
    assert place.url.drivername == "postgresql+psycopg"
    assert place.shown == "postgresql://u:***@h/d"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/home/ann/kerntune.db",
        "postgresql://u:secret@h:port/d",
        "mysql://u:secret@h/d",
        "postgresql+asyncpg://u:secret@h/d",
        "sqlite+aiosqlite:////k.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///k\0.db",
        "sqlite:///file:k.db?uri=true",
        "sqlite://k.db",
    ],
)
def test_a_url_that_names_no_usable_database_is_told_how_to_write_one(url):
    """The message shows both forms and never a password."""
    with pytest.raises(StoreError, match=r"KERNTUNE_DB\)\. Write sqlite:////folder/file\.db") as caught:
        locate(url)
    assert "secret" not in str(caught.value)
