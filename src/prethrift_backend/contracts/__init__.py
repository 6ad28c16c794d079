"""The promises of ``contracts/`` as a model: what the process says of itself.

The files are data and exist once in git, at the top of the source tree; the build ships them in the package. This
package finds them, parses them with errors that name file, line and column, and hands out frozen values. What enforces
them while the process runs stands in the layers above.
"""

from prethrift_backend.contracts.location import find_contracts, load_health_schema, load_metrics
from prethrift_backend.contracts.model import (
    Budget,
    Deprecation,
    MetricFamily,
    MetricLabel,
    MetricSample,
    MetricsContract,
    Scrape,
)
from prethrift_backend.contracts.parser import parse_metrics

__all__ = [
    "Budget",
    "Deprecation",
    "MetricFamily",
    "MetricLabel",
    "MetricSample",
    "MetricsContract",
    "Scrape",
    "find_contracts",
    "load_health_schema",
    "load_metrics",
    "parse_metrics",
]
