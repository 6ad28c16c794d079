"""Where the contract files are: inside the installed package, or at the top of the source tree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from prethrift_backend.contracts.model import MetricsContract
from prethrift_backend.contracts.parser import parse_metrics
from prethrift_backend.exceptions import ContractError

# The build puts the files here; a source tree has them once, at its top.
_PACKAGED = Path(__file__).parent / "data"
_SOURCE_TREE = Path(__file__).parents[3] / "contracts"


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
    path = find_contracts(directory) / "metrics.txt"
    return parse_metrics(_read(path), source=str(path))


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
