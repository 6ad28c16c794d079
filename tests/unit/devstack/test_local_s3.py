"""How the local S3 keeps objects in a folder."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prethrift_backend.devstack.local_s3 import ObjectFolder

# Keys are limited to what fits a file name once quoted; the backend's own have under sixty characters.
KEYS = st.text(alphabet=string.printable + "é/.%", min_size=1, max_size=40)


def test_an_object_comes_back_as_it_was(tmp_path: Path) -> None:
    """Key, bytes and media type survive."""
    folder = ObjectFolder(tmp_path)
    folder.write("pictures", "items/a b.png", b"\x00\xff", "image/png")

    assert list(folder.buckets()) == ["pictures"]
    assert list(folder.objects("pictures")) == [("items/a b.png", b"\x00\xff", "image/png")]


@given(key=KEYS)
def test_no_key_leaves_the_folder(tmp_path_factory: pytest.TempPathFactory, key: str) -> None:
    """Whatever the key, one object is kept inside its bucket, under its own name."""
    top = tmp_path_factory.mktemp("s3")
    folder = ObjectFolder(top / "objects")
    folder.write("pictures", key, b"1", "image/png")

    assert [found[0] for found in folder.objects("pictures")] == [key]
    assert list(top.iterdir()) == [top / "objects"]
    assert list((top / "objects").iterdir()) == [top / "objects" / "pictures"]


def test_a_removed_object_stays_away(tmp_path: Path) -> None:
    """Removing forgets the object, and removing what is not there is no error."""
    folder = ObjectFolder(tmp_path)
    folder.write("pictures", "a", b"1", "image/png")
    folder.remove("pictures", "a")
    folder.remove("pictures", "a")

    assert list(folder.objects("pictures")) == []


def test_a_write_that_was_cut_off_is_not_an_object(tmp_path: Path) -> None:
    """What a kill in the middle of a write leaves is passed over at the next start."""
    folder = ObjectFolder(tmp_path)
    folder.make_bucket("pictures")
    (tmp_path / "pictures" / "a=new").write_bytes(b"hal")

    assert list(folder.objects("pictures")) == []
