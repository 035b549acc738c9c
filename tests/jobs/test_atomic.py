"""Files and folders appear whole or not at all."""

import hashlib

import pytest

from backend import atomic


def _broken(make, path, **options):
    with make(path, **options) as partial:
        target = partial / "half" if partial.is_dir() else partial
        target.write_text("half")
        raise RuntimeError("power cut")


def test_a_file_takes_its_place_whole(tmp_path):
    path = tmp_path / "new" / "a.txt"
    atomic.write_text(path, "äöü")
    atomic.write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert [found.name for found in path.parent.iterdir()] == ["a.txt"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    atomic.write_text(path, "old")
    with pytest.raises(RuntimeError):
        _broken(atomic.new_file, path)
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_takes_its_place_whole(tmp_path):
    path = tmp_path / "points" / "1"
    with atomic.new_folder(path) as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "x").write_text("1")
        assert not path.exists()
    assert (path / "inner" / "x").read_text() == "1"
    assert [found.name for found in path.parent.iterdir()] == ["1"]


def test_a_folder_is_replaced_only_when_asked(tmp_path):
    path = tmp_path / "1"
    with atomic.new_folder(path) as partial:
        (partial / "old").write_text("")
    with pytest.raises(FileExistsError), atomic.new_folder(path):
        pass
    with pytest.raises(RuntimeError):
        _broken(atomic.new_folder, path, replace=True)
    assert [found.name for found in path.iterdir()] == ["old"]
    with atomic.new_folder(path, replace=True) as partial:
        (partial / "new").write_text("")
    assert [found.name for found in path.iterdir()] == ["new"]
    assert [found.name for found in tmp_path.iterdir()] == ["1"]


def test_left_overs_are_removed_and_nothing_else(tmp_path):
    (tmp_path / ".a.12.partial").write_text("")
    (tmp_path / "inner" / ".b.12.partial").mkdir(parents=True)
    (tmp_path / "inner" / ".b.12.partial" / "x").write_text("")
    (tmp_path / "inner" / "kept.partial").write_text("")
    atomic.remove_partials(tmp_path)
    assert {found.name for found in tmp_path.rglob("*")} == {"inner", "kept.partial"}


def test_a_folders_checksum_covers_names_and_contents(tmp_path):
    for name in ("one", "two", "three"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "x").write_text("1")
    one = atomic.folder_sha256(tmp_path / "one")
    assert atomic.folder_sha256(tmp_path / "two") == one
    (tmp_path / "two" / "sub" / "x").write_text("2")
    (tmp_path / "three" / "sub" / "x").rename(tmp_path / "three" / "sub" / "y")
    assert len({one, *(atomic.folder_sha256(tmp_path / name) for name in ("two", "three"))}) == 3


def test_checksums_are_those_of_sha256sum(tmp_path):
    (tmp_path / "x").write_bytes(b"1")
    digest = hashlib.sha256(b"1").hexdigest()
    assert atomic.file_sha256(tmp_path / "x") == digest
    assert atomic.folder_manifest(tmp_path) == {"x": digest}
    listing = f"{digest}  x\n".encode()
    assert atomic.folder_sha256(tmp_path) == hashlib.sha256(listing).hexdigest()
    assert atomic.size_of(tmp_path) == atomic.size_of(tmp_path / "x") == 1
