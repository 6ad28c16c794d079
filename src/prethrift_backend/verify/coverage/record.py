"""What one run of the tests has exercised, as a value and as a JSON document; several of them become one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.findings import Signal

FORMAT: Final = 1

_FILES: Final = ("metrics.txt", "logs.txt", "spans.txt", "settings.txt", "health.schema.json")


@dataclass(frozen=True, slots=True)
class TestFault:
    """Something that the application said in a test, against its contract; ``test`` is the id of the first one."""

    __test__ = False  # pytest takes what is called so for tests

    test: str
    rule: str
    signal: Signal
    name: str
    message: str
    expected: str | None = None
    observed: str | None = None


@dataclass(frozen=True, slots=True)
class CoverageRecord:
    """One run: what it was of, how it ended, and what it exercised.

    ``contracts`` has the SHA-256 of each file. ``test_count`` counts the tests that ran. ``exit_status`` is pytest's.
    ``exercised`` has the id of the first test for each item. ``unjudged`` says what the observer itself failed at: then
    nobody knows whether the contracts were kept.
    """

    contracts: Mapping[str, str]
    test_count: int
    exit_status: int
    exercised: Mapping[tuple[Signal, str], str] = field(default_factory=dict)
    faults: tuple[TestFault, ...] = ()
    unjudged: tuple[str, ...] = ()


def digests_of(directory: Path) -> dict[str, str]:
    """Return the SHA-256 of every contract file that the folder has."""
    paths = [directory / name for name in _FILES]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()}


def write_record(record: CoverageRecord, path: Path) -> None:
    """Write the record; its folder is made where it is missing.

    Raises ContractError where that cannot be.
    """
    document = {
        "format": FORMAT,
        "contracts": dict(record.contracts),
        "tests": record.test_count,
        "exit_status": record.exit_status,
        "exercised": [[*key, test] for key, test in sorted(record.exercised.items())],
        "faults": [[getattr(fault, name) for name in TestFault.__slots__] for fault in record.faults],
        "unjudged": list(record.unjudged),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ContractError(f"{path}: {error.strerror}: the record of a run is written there; name another") from error


def read_record(path: Path) -> CoverageRecord:
    """Read a record.

    Raises ContractError where it cannot be read, or is none.
    """
    try:
        return _record(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ContractError(f"{path}: {error.strerror}: a record is there once its tests have run; run them") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"is no record of a run ({type(error).__name__}: {error})"
        raise ContractError(
            f"{path} {what}: it is what --record wrote, of this version; run the tests again"
        ) from error


def merge_records(records: Iterable[CoverageRecord], *, contracts: Mapping[str, str]) -> CoverageRecord:
    """Make one record of several: what any of them exercised, the faults of all, failed where one has failed.

    Raises ContractError where there is none, or one is of other texts than ``contracts`` says.
    """
    found = list(records)
    if not found:
        raise ContractError("no record of a run is given: coverage is what tests did; run them, or name a record")
    for record in found:
        _check_texts(record, contracts)
    exercised: dict[tuple[Signal, str], str] = {}
    for record in found:
        for key, test in record.exercised.items():
            exercised.setdefault(key, test)
    return CoverageRecord(
        contracts,
        sum(record.test_count for record in found),
        next((record.exit_status for record in found if record.exit_status), 0),
        exercised,
        tuple(fault for record in found for fault in record.faults),
        tuple(text for record in found for text in record.unjudged),
    )


def _check_texts(record: CoverageRecord, contracts: Mapping[str, str]) -> None:
    other = sorted(
        name for name in {*record.contracts, *contracts} if record.contracts.get(name) != contracts.get(name)
    )
    if other:
        raise ContractError(
            f"a record is of another {' and '.join(other)}: a run counts for the contracts that it was held against; "
            f"run the tests again"
        )


def _record(document: Any) -> CoverageRecord:
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']!r}, not {FORMAT}")
    return CoverageRecord(
        {str(name): str(digest) for name, digest in document["contracts"].items()},
        int(document["tests"]),
        int(document["exit_status"]),
        {(_signal(signal), str(name)): str(test) for signal, name, test in document["exercised"]},
        tuple(_fault(*parts) for parts in document["faults"]),
        tuple(str(text) for text in document["unjudged"]),
    )


def _fault(test: str, rule: str, signal: str, name: str, message: str, *rest: str | None) -> TestFault:
    return TestFault(test, rule, _signal(signal), name, message, *rest)


def _signal(text: str) -> Signal:
    found: Signal | None = next((signal for signal in get_args(Signal) if signal == text), None)
    if found is None:
        raise ValueError(f"no signal {text!r}")
    return found
