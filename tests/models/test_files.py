"""Files appear whole or not at all."""

import pytest

from models.files import make_folder, write_atomically


def test_a_file_and_its_folder_are_made_and_nothing_else(tmp_path):
    path = tmp_path / "folder" / "file"
    for content in (b"old", b"new"):
        write_atomically(path, lambda file, content=content: file.write(content))
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fail)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"old"


def test_no_folder_is_made_in_a_read_only_one(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(PermissionError):
        make_folder(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
