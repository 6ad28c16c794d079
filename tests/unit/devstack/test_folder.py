"""The data folder of the development stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from prethrift_backend.devstack.folder import DataFolder, default_folder
from prethrift_backend.exceptions import DevstackError


def test_the_default_is_in_the_users_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG_DATA_HOME is honoured."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    assert default_folder() == tmp_path / "prethrift-backend" / "dev"


def test_a_folder_is_made_and_can_be_opened_again(tmp_path: Path) -> None:
    """The folder appears with its parents, and a second start finds it usable."""
    path = tmp_path / "a" / "b"
    with DataFolder(path):
        pass

    with DataFolder(path) as folder:
        assert folder.postgres.parent == path


def test_two_holders_of_one_folder_are_refused(tmp_path: Path) -> None:
    """The second start on a folder in use is told so, and the first keeps its hold."""
    with DataFolder(tmp_path):
        with pytest.raises(DevstackError, match=r"in use by another 'prethrift-backend dev'.*--data-dir"):
            DataFolder(tmp_path).start()
        with pytest.raises(DevstackError, match="in use"):
            DataFolder(tmp_path).start()


def test_a_folder_of_another_format_is_refused(tmp_path: Path) -> None:
    """Data that another version wrote is not touched; the text says how to begin afresh. The hold is let go."""
    (tmp_path / "format").write_text("99")

    with pytest.raises(DevstackError, match=r"format '99'.*remove the folder"):
        DataFolder(tmp_path).start()

    (tmp_path / "format").write_text("1")
    DataFolder(tmp_path).start()


def test_a_path_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    """A file in the way gives a sentence with the path and the fix."""
    (tmp_path / "file").write_text("")

    with pytest.raises(DevstackError, match=r"file' cannot be used.*--data-dir"):
        DataFolder(tmp_path / "file").start()
