"""Write a contract in its one canonical form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Final

from prethrift_backend.contracts._blocks_layout import lay_out_blocks
from prethrift_backend.contracts._metrics_layout import lay_out_metrics
from prethrift_backend.contracts.log_parser import parse_logs
from prethrift_backend.contracts.overhead_parser import parse_overhead
from prethrift_backend.contracts.parser import parse_metrics
from prethrift_backend.contracts.setting_parser import parse_settings
from prethrift_backend.contracts.span_parser import parse_spans

_SIGNAL: Final = re.compile(r"^[ \t]*#[ \t]+CONTRACT[ \t]+([a-z]+)(?![^ \t\r\n])", re.MULTILINE)


def format_contract(text: str, *, source: str) -> str:
    """Return the canonical form of a contract: what it states and its comments are kept, all else is laid out.

    Which contract it is says its CONTRACT line; where there is none, the name of ``source``. A bare list of metrics
    becomes one with all directives. To format twice gives the same as once.

    Raises ContractError where the text has faults: what cannot be read is left alone.
    """
    return _FORMATTERS[_signal(text, source)](text, source)


def _signal(text: str, source: str) -> str:
    found = _SIGNAL.search(text)
    said = found[1] if found else PurePath(source).stem
    return said if said in _FORMATTERS else "metrics"


def _metrics(text: str, source: str) -> str:
    return lay_out_metrics(text, parse_metrics(text, source=source))


def _logs(text: str, source: str) -> str:
    parse_logs(text, source=source)
    return lay_out_blocks(text, "logs")


def _spans(text: str, source: str) -> str:
    parse_spans(text, source=source)
    return lay_out_blocks(text, "spans")


def _overhead(text: str, source: str) -> str:
    parse_overhead(text, source=source)
    return lay_out_blocks(text, "overhead")


def _settings(text: str, source: str) -> str:
    parse_settings(text, source=source)
    return lay_out_blocks(text, "settings")


_FORMATTERS: Final[Mapping[str, Callable[[str, str], str]]] = {
    "logs": _logs,
    "metrics": _metrics,
    "overhead": _overhead,
    "settings": _settings,
    "spans": _spans,
}
