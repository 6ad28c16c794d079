"""The promises of ``contracts/`` as a model: what the process says of itself.

The files are data and exist once in git, at the top of the source tree; the build ships them in the package. This
package finds them, parses them with errors that name file, line and column, and hands out frozen values. What enforces
them while the process runs stands in the layers above.
"""

from prethrift_backend.contracts.location import (
    Contracts,
    find_contracts,
    load_contracts,
    load_health_schema,
    load_logs,
    load_metrics,
    load_overhead,
    load_settings_contract,
    load_spans,
)
from prethrift_backend.contracts.log_parser import parse_logs
from prethrift_backend.contracts.logs import LogEvent, LogField, LogRecord, LogsContract
from prethrift_backend.contracts.model import (
    Budget,
    Deprecation,
    MetricFamily,
    MetricLabel,
    MetricSample,
    MetricsContract,
    Scrape,
)
from prethrift_backend.contracts.overhead import CostBudget, CostLimit, OverheadContract
from prethrift_backend.contracts.overhead_parser import parse_overhead
from prethrift_backend.contracts.parser import parse_metrics
from prethrift_backend.contracts.setting_parser import parse_settings
from prethrift_backend.contracts.settings import Setting, SettingsContract
from prethrift_backend.contracts.span_parser import parse_spans
from prethrift_backend.contracts.spans import SpanAttribute, SpanEvent, SpanLimits, SpanLink, SpanPromise, SpansContract
from prethrift_backend.contracts.values import Count, NeverWord, ValueType

__all__ = [
    "Budget",
    "Contracts",
    "CostBudget",
    "CostLimit",
    "Count",
    "Deprecation",
    "LogEvent",
    "LogField",
    "LogRecord",
    "LogsContract",
    "MetricFamily",
    "MetricLabel",
    "MetricSample",
    "MetricsContract",
    "NeverWord",
    "OverheadContract",
    "Scrape",
    "Setting",
    "SettingsContract",
    "SpanAttribute",
    "SpanEvent",
    "SpanLimits",
    "SpanLink",
    "SpanPromise",
    "SpansContract",
    "ValueType",
    "find_contracts",
    "load_contracts",
    "load_health_schema",
    "load_logs",
    "load_metrics",
    "load_overhead",
    "load_settings_contract",
    "load_spans",
    "parse_logs",
    "parse_metrics",
    "parse_overhead",
    "parse_settings",
    "parse_spans",
]
