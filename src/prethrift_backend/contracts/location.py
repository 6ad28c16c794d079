"""Where the contract files are: inside the installed package, or at the top of the source tree."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from prethrift_backend.contracts.log_parser import parse_logs
from prethrift_backend.contracts.logs import LogsContract
from prethrift_backend.contracts.model import MetricsContract
from prethrift_backend.contracts.overhead import OverheadContract
from prethrift_backend.contracts.overhead_parser import parse_overhead
from prethrift_backend.contracts.parser import parse_metrics
from prethrift_backend.contracts.setting_parser import parse_settings
from prethrift_backend.contracts.settings import SettingsContract
from prethrift_backend.contracts.span_parser import parse_spans
from prethrift_backend.contracts.spans import SpansContract
from prethrift_backend.exceptions import ContractError, ContractFault

# The build puts the files here; a source tree has them once, at its top.
_PACKAGED = Path(__file__).parent / "data"
_SOURCE_TREE = Path(__file__).parents[3] / "contracts"

_Loaded = TypeVar("_Loaded")
_Parsed_co = TypeVar("_Parsed_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Contracts:
    """All contracts of one folder; None for a file that the folder does not have.

    Only ``metrics.txt`` is always there: it makes a folder one of contracts.
    """

    directory: Path
    metrics: MetricsContract
    logs: LogsContract | None = None
    spans: SpansContract | None = None
    settings: SettingsContract | None = None
    health_schema: Mapping[str, Any] | None = None
    overhead: OverheadContract | None = None


def find_contracts(directory: Path | None = None) -> Path:
    """Return the folder of the contract files: the given one, the package's, or the source tree's.

    Raises ContractError where there is none.
    """
    tried = [_PACKAGED, _SOURCE_TREE] if directory is None else [directory]
    for folder in tried:
        if (folder / "metrics.txt").is_file():
            return folder
    raise ContractError(
        f"no contracts found in {' or '.join(repr(str(folder)) for folder in tried)}: the folder holds metrics.txt; "
        f"name the right folder, or install the package again"
    )


def load_metrics(directory: Path | None = None) -> MetricsContract:
    """Read and parse ``metrics.txt`` of the folder that ``find_contracts`` returns.

    Raises ContractError where the file is missing or has faults.
    """
    return _parsed(directory, "metrics.txt", parse_metrics)


def load_logs(directory: Path | None = None) -> LogsContract:
    """Read and parse ``logs.txt`` of the folder that ``find_contracts`` returns.

    Raises ContractError where the file is missing or has faults.
    """
    return _parsed(directory, "logs.txt", parse_logs)


def load_spans(directory: Path | None = None) -> SpansContract:
    """Read and parse ``spans.txt`` of the folder that ``find_contracts`` returns.

    Raises ContractError where the file is missing or has faults.
    """
    return _parsed(directory, "spans.txt", parse_spans)


def load_settings_contract(directory: Path | None = None) -> SettingsContract:
    """Read and parse ``settings.txt`` of the folder that ``find_contracts`` returns.

    Raises ContractError where the file is missing or has faults.
    """
    return _parsed(directory, "settings.txt", parse_settings)


def load_overhead(directory: Path | None = None) -> OverheadContract:
    """Read and parse ``overhead.txt`` of the folder that ``find_contracts`` returns.

    Raises ContractError where the file is missing or has faults.
    """
    return _parsed(directory, "overhead.txt", parse_overhead)


def load_health_schema(directory: Path | None = None) -> dict[str, Any]:
    """Read ``health.schema.json``, the JSON Schema of every health body.

    Raises ContractError where the file is missing or is not a JSON object.
    """
    path = find_contracts(directory) / "health.schema.json"
    text = _read(path)
    try:
        schema = json.loads(text)
    except json.JSONDecodeError as error:
        raise ContractError(
            f"{path}:{error.lineno}:{error.colno}: {error.msg}: a schema is JSON; correct it"
        ) from error
    if not isinstance(schema, dict):
        raise ContractError(f"{path}:1:1: {type(schema).__name__} at the top: a schema is a JSON object; correct it")
    return schema


def load_contracts(directory: Path | None = None) -> Contracts:
    """Read every contract of the folder that ``find_contracts`` returns.

    Raises ContractError with the faults of all files; a file that is not there is no fault, ``metrics.txt`` apart.
    """
    folder = find_contracts(directory)
    errors: list[ContractError] = []

    def load(name: str, loader: Callable[[Path | None], _Loaded]) -> _Loaded | None:
        try:
            # A link that leads nowhere is there: its promises are not to be forgotten in silence.
            return loader(folder) if os.path.lexists(folder / name) else None
        except ContractError as error:
            errors.append(error)
            return None

    metrics = load("metrics.txt", load_metrics)
    logs, spans = load("logs.txt", load_logs), load("spans.txt", load_spans)
    settings, overhead = load("settings.txt", load_settings_contract), load("overhead.txt", load_overhead)
    health_schema = load("health.schema.json", load_health_schema)
    if errors or metrics is None:
        raise _joined(errors)
    return Contracts(folder, metrics, logs, spans, settings, health_schema, overhead)


class _Parse(Protocol[_Parsed_co]):
    def __call__(self, text: str, *, source: str) -> _Parsed_co: ...


def _parsed(directory: Path | None, name: str, parse: _Parse[_Parsed_co]) -> _Parsed_co:
    path = find_contracts(directory) / name
    return parse(_read(path), source=str(path))


def _joined(errors: list[ContractError]) -> ContractError:
    faults: list[ContractFault] = [fault for error in errors for fault in error.faults]
    return ContractError("\n".join(str(error) for error in errors), faults=faults)


def _read(path: Path) -> str:
    # Bytes, so that the text is the file's own, line ends included, and its sha256 is what sha256sum prints.
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ContractError(
            f"{path}: {error.strerror}: the file must be readable; restore it or mend its mode"
        ) from error
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise ContractError(f"{path}:{line}:{column}: not UTF-8: contracts are UTF-8; save the file so") from error
