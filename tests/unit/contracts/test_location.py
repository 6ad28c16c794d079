"""Where the contract files are found, and what is said when they cannot be read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from prethrift_backend.contracts import find_contracts, load_health_schema, load_metrics
from prethrift_backend.exceptions import ContractError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a folder with the smallest metrics contract."""
    (tmp_path / "metrics.txt").write_text("# CONTRACT metrics 1.0.0\n")
    return tmp_path


def test_contracts_are_found_without_a_folder() -> None:
    """The package, or the source tree, has its own contracts."""
    assert (find_contracts() / "metrics.txt").is_file()


def test_given_folder_is_used(directory: Path) -> None:
    """Another application hands over its own folder."""
    assert find_contracts(directory) == directory
    assert load_metrics(directory).version == "1.0.0"


def test_folder_without_contracts_is_refused(tmp_path: Path) -> None:
    """A folder with no metrics.txt is named in the error."""
    with pytest.raises(ContractError, match="no contracts found in") as raised:
        find_contracts(tmp_path)

    assert repr(str(tmp_path)) in str(raised.value)


def test_digest_is_of_the_bytes_on_disk(directory: Path) -> None:
    """CRLF line ends are part of the digest, as they are for sha256sum."""
    content = b"# CONTRACT metrics 1.0.0\r\n"
    (directory / "metrics.txt").write_bytes(content)

    assert load_metrics(directory).sha256 == hashlib.sha256(content).hexdigest()


def test_text_that_is_not_utf8_is_named_by_line_and_column(directory: Path) -> None:
    """The first byte that is not UTF-8 is said by line and column."""
    (directory / "metrics.txt").write_bytes(b"# CONTRACT metrics 1.0.0\n# a\xff\n")

    with pytest.raises(ContractError, match=r"metrics\.txt:2:4: not UTF-8"):
        load_metrics(directory)


def test_health_schema_is_returned_as_an_object(directory: Path) -> None:
    """The schema is handed out as it stands in the file."""
    (directory / "health.schema.json").write_text('{"type": "object"}')

    assert load_health_schema(directory) == {"type": "object"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [("{", r"health\.schema\.json:1:2: "), ("[]", r"health\.schema\.json:1:1: list at the top")],
)
def test_broken_health_schema_is_refused(directory: Path, content: str, expected: str) -> None:
    """Text that is no JSON object is refused with file, line and column."""
    (directory / "health.schema.json").write_text(content)

    with pytest.raises(ContractError, match=expected):
        load_health_schema(directory)


def test_missing_health_schema_is_refused(directory: Path) -> None:
    """A folder without the schema says which file is missing."""
    with pytest.raises(ContractError, match=r"health\.schema\.json: No such file"):
        load_health_schema(directory)
