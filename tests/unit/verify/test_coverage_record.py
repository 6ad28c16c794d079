"""Records of test runs: written, read, merged, and refused where they cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.coverage.record import (
    CoverageRecord,
    TestFault,
    digests_of,
    merge_records,
    read_record,
    write_record,
)

_BEGINNING = '{"format": 1, "contracts": {}, "tests": 1, "exit_status": 0,'
TEXTS = {"metrics.txt": "a" * 64}
FAULT = TestFault("tests/test_a.py::test_one", "LG007", "logs", "work_done", "field 'x' is wrong", "int", "'a'")
UNIT = CoverageRecord(
    TEXTS,
    3,
    0,
    {("metrics", "work_total"): "tests/test_a.py::test_one", ("logs", "work_done"): "tests/test_a.py::test_two"},
    (FAULT,),
    ("a line could not be judged: KeyError in tests/test_a.py::test_one",),
)
INTEGRATION = CoverageRecord(
    TEXTS, 2, 1, {("metrics", "work_total"): "tests/test_b.py::test", ("spans", "work"): "tests/test_b.py::test"}
)


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    """What was written is read; the folder is made."""
    path = tmp_path / "build" / "record.json"

    write_record(UNIT, path)

    assert read_record(path) == UNIT


def test_records_are_merged() -> None:
    """The first test counts, tests are added up, faults are kept, and one run that failed is enough."""
    merged = merge_records([UNIT, INTEGRATION], contracts=TEXTS)

    assert merged == CoverageRecord(TEXTS, 5, 1, {**INTEGRATION.exercised, **UNIT.exercised}, (FAULT,), UNIT.unjudged)


def test_a_record_of_other_contracts_is_refused() -> None:
    """A promise that has changed since is not shown to be kept."""
    with pytest.raises(ContractError, match=r"a record is of another logs\.txt and metrics\.txt"):
        merge_records([UNIT], contracts={"metrics.txt": "b" * 64, "logs.txt": "c" * 64})


def test_nothing_to_merge_is_refused() -> None:
    """No record is not a record of nothing."""
    with pytest.raises(ContractError, match="no record of a run"):
        merge_records([], contracts=TEXTS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2}',
        f'{_BEGINNING} "exercised": [["smells", "a", "t"]], "faults": [], "unjudged": []}}',
        f'{_BEGINNING} "exercised": [["logs"]], "faults": [], "unjudged": []}}',
        f'{_BEGINNING} "exercised": [], "faults": [["t"]], "unjudged": []}}',
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    """The error names the file and the fix."""
    path = tmp_path / "record.json"
    path.write_text(text)

    with pytest.raises(ContractError, match=r"record.json is no record of a run .*run the tests again"):
        read_record(path)


def test_a_record_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """So is one that cannot be written."""
    with pytest.raises(ContractError, match="No such file"):
        read_record(tmp_path / "none.json")
    with pytest.raises(ContractError, match="Is a directory"):
        write_record(UNIT, tmp_path)


def test_digests_are_of_the_files_that_are_there(tmp_path: Path) -> None:
    """Of bytes, as `sha256sum` has them; a folder need not have all files."""
    (tmp_path / "metrics.txt").write_bytes(b"")

    assert digests_of(tmp_path) == {"metrics.txt": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
