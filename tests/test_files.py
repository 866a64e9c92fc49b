from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from tinyunet.files import write_whole, writing_whole


@pytest.mark.parametrize("content", ["grün\n", b"\x00\xff"])
def test_content_arrives_and_others_may_read_it(tmp_path, content):
    path = tmp_path / "file"
    write_whole(str(path), content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    write_whole(path, b"new")
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_what_stops_it_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, step, error):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*arguments):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        write_whole(path, "new")
    assert path.read_text("utf-8") == "old" and os.listdir(tmp_path) == ["file"]


def test_a_full_device(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    path = tmp_path / "file"
    path.write_text("old")
    (tmp_path / "link").symlink_to("/dev/full")
    with pytest.MonkeyPatch.context() as patch:
        # The real error of a real write: the temporary file is one on a device without room.
        patch.setattr("tempfile.mkstemp", lambda **_: (os.open("/dev/full", os.O_WRONLY), str(tmp_path / "link")))
        with pytest.raises(OSError) as caught:
            write_whole(path, "new")
    assert caught.value.errno == errno.ENOSPC
    assert path.read_text("utf-8") == "old" and os.listdir(tmp_path) == ["file"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_whole(tmp_path / "nowhere" / "file", "text")


def test_a_file_written_piece_by_piece_appears_at_the_end_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    with writing_whole(path) as file:
        file.write(b"one ")
        assert not path.exists()
        file.write(b"two")
    assert path.read_bytes() == b"one two"
    for error, name in ((KeyboardInterrupt(), None), (OSError(errno.EIO, "broken", "source"), "source")):
        with pytest.raises(type(error)) as caught, writing_whole(path) as file:
            file.write(b"half")
            raise error
        assert getattr(caught.value, "filename", None) == name  # that of the file that failed, not of this one
        assert path.read_bytes() == b"one two" and os.listdir(tmp_path) == ["file"]
