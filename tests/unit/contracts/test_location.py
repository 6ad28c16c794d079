"""Where the contract files are found, and what is said when they cannot be read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from prethrift_backend.contracts import (
    find_contracts,
    load_contracts,
    load_health_schema,
    load_logs,
    load_metrics,
    load_overhead,
    load_settings_contract,
    load_spans,
)
from prethrift_backend.exceptions import ContractError

TEXTS = ("metrics.txt", "logs.txt", "spans.txt", "settings.txt", "overhead.txt")


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


def test_the_bundle_has_every_contract() -> None:
    """The shipped folder has all six, each from its own file."""
    contracts = load_contracts()

    read = (contracts.metrics, contracts.logs, contracts.spans, contracts.settings, contracts.overhead)
    assert [one.source for one in read if one] == [str(contracts.directory / name) for name in TEXTS]
    assert contracts.health_schema == load_health_schema()


def test_the_bundle_does_without_files_that_are_not_there(directory: Path) -> None:
    """A folder needs metrics.txt alone."""
    contracts = load_contracts(directory)

    assert contracts.metrics.version == "1.0.0"
    assert (contracts.logs, contracts.spans, contracts.settings, contracts.health_schema) == (None, None, None, None)


def test_the_bundle_tells_the_faults_of_all_files(directory: Path) -> None:
    """One error has what is wrong with each file, as values too."""
    for name in TEXTS:
        (directory / name).write_text("# CONTRACT nothing 1.0.0\n")
    (directory / "health.schema.json").write_text("{")

    with pytest.raises(ContractError) as raised:
        load_contracts(directory)

    assert str(raised.value).count("contract of 'nothing'") == len(TEXTS)
    assert "health.schema.json:1:2" in str(raised.value)
    assert {Path(fault.source).name for fault in raised.value.faults} >= {"metrics.txt", "settings.txt"}


@pytest.mark.parametrize("load", [load_logs, load_spans, load_settings_contract, load_overhead])
def test_a_contract_that_is_asked_for_by_name_is_there(directory: Path, load: Callable[[Path], object]) -> None:
    """The loader of one file says which file is missing."""
    with pytest.raises(ContractError, match=r"\.txt: No such file"):
        load(directory)


def test_a_link_that_leads_nowhere_is_no_file_that_is_not_there(tmp_path: Path) -> None:
    """Its promises are asked for, and missed."""
    (tmp_path / "metrics.txt").write_text("# CONTRACT metrics 1.0.0\n")
    (tmp_path / "logs.txt").symlink_to(tmp_path / "gone.txt")

    with pytest.raises(ContractError, match=r"logs\.txt: No such file"):
        load_contracts(tmp_path)
