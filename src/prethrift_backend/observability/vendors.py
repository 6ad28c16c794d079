"""The header that a collector wants its key in: the host names the vendor, and OTLP_HEADERS has the last word."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from prethrift_backend.config import Settings

_MakeHeader: TypeAlias = Callable[[str], tuple[str, str]]


def _bearer(key: str) -> tuple[str, str]:
    return "authorization", _with_scheme(key) or f"Bearer {key}"


def _basic(key: str) -> tuple[str, str]:
    """Grafana Cloud wants instance and token as user and password; a key without an instance is sent as it is."""
    if _with_scheme(key) or ":" not in key:
        return _bearer(key)
    return "authorization", f"Basic {base64.b64encode(key.encode()).decode()}"


def _with_scheme(key: str) -> str | None:
    """Return a key that names its scheme itself; vendors' pages show it percent-encoded (``Basic%20...%3D%3D``)."""
    scheme, separator, token = key.replace("%20", " ", 1).partition(" ")
    if separator and scheme.lower() in {"basic", "bearer"}:
        return f"{scheme} {unquote(token)}"
    return None


# Each is a domain: it and what lies below it are the vendor's. Sources: the vendors' own pages on OTLP, as of 2026-11
# (docs.honeycomb.io/send-data/opentelemetry, docs.datadoghq.com/opentelemetry/setup/otlp_ingest,
# grafana.com/docs/grafana-cloud/send-data/otlp).
_VENDORS: Final[Mapping[str, _MakeHeader]] = {
    "api.honeycomb.io": lambda key: ("x-honeycomb-team", key),
    "api.eu1.honeycomb.io": lambda key: ("x-honeycomb-team", key),
    "grafana.net": _basic,
    "datadoghq.com": lambda key: ("dd-api-key", key),  # us3., us5., ap1. and ap2. lie below it
    "datadoghq.eu": lambda key: ("dd-api-key", key),
    "ddog-gov.com": lambda key: ("dd-api-key", key),
    "sentry.io": lambda key: ("x-sentry-auth", key if key.startswith("Sentry ") else f"Sentry sentry_key={key}"),
}


def otlp_headers(settings: Settings) -> dict[str, str]:
    """Return the headers for OTLP_ENDPOINT, names in lower case: its key, and OTLP_HEADERS over it.

    Without an endpoint there are none: a key belongs to the host that it was set for.
    """
    if settings.otlp_endpoint is None:
        return {}
    headers: dict[str, str] = {}
    if settings.otlp_api_key is not None:
        name, value = key_header(settings.otlp_endpoint, settings.otlp_api_key.get_secret_value())
        headers[name] = value
    if settings.otlp_headers is not None:
        headers.update(parse_headers(settings.otlp_headers.get_secret_value()))
    return headers


def key_header(endpoint: str, key: str) -> tuple[str, str]:
    """Return name and value of the header that carries ``key`` to the host of ``endpoint``."""
    host = (urlsplit(endpoint).hostname or "").rstrip(".")
    return _maker(host)(key)


def _maker(host: str) -> _MakeHeader:
    """Find the vendor by whole labels from the right: ``honeycomb.io.example.com`` is somebody else."""
    labels = host.split(".")
    domains = (".".join(labels[start:]) for start in range(len(labels)))
    return next((_VENDORS[domain] for domain in domains if domain in _VENDORS), _bearer)


def parse_headers(text: str) -> dict[str, str]:
    """Return the headers of ``name=value,name=value`` with percent-encoded values, names in lower case.

    That is the form of OTEL_EXPORTER_OTLP_HEADERS, itself W3C Baggage. The settings have checked it already.
    """
    pairs = (pair.strip().partition("=") for pair in text.split(","))
    return {name.strip().lower(): unquote(value.strip()) for name, separator, value in pairs if separator}
