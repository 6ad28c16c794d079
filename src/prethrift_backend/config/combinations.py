"""The rules over several settings: what each of them allows and together does not go."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from prethrift_backend.config.settings import REQUIRED_IN_PRODUCTION, Settings
from prethrift_backend.exceptions import ConfigurationFault

# Read by prometheus_client.
_FOREIGN_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"

_LOOPBACK: Final = "localhost"

# Names that no resolver of the internet answers: of this cluster, this site, this machine.
_PRIVATE_SUFFIXES: Final = (".svc", ".local", ".internal", ".lan", ".localhost", ".home.arpa")

# 0x08080808 and 134744072 are 8.8.8.8 to the C library.
_NUMBER: Final = re.compile("0x[0-9a-f]+|[0-9]+")


def production_faults(
    settings: Settings, *, required: Collection[str] = REQUIRED_IN_PRODUCTION
) -> list[ConfigurationFault]:
    """Give what keeps these settings from starting in production; nothing in any other environment."""
    if settings.environment != "production":
        return []
    missing = [
        ConfigurationFault(name.upper(), None, "is not set", "production does not start without it")
        for name in required
        if getattr(settings, name) is None
    ]
    return missing + [
        ConfigurationFault(name.upper(), shown(settings), rule, "leave it out in production")
        for name, shown, rule in _FOR_DEVELOPMENT
        if getattr(settings, name)
    ]


_FOR_DEVELOPMENT: Final[tuple[tuple[str, Callable[[Settings], str | None], str], ...]] = (
    ("debug", lambda _: "true", "shows tracebacks to callers"),
    ("trace_console", lambda _: "true", "writes every span among the lines of the log"),
    ("sentry_spotlight", lambda settings: settings.sentry_spotlight, "sends the errors to a tool for development, too"),
)


def cleartext_faults(settings: Settings) -> list[ConfigurationFault]:
    """Give the receiver to which a key would go unencrypted over the internet."""
    endpoint = settings.otlp_endpoint
    keys = [name for name in ("otlp_api_key", "otlp_headers") if getattr(settings, name) is not None]
    if endpoint is None or not keys or not _is_cleartext(endpoint):
        return []
    rule = f"would get {' and '.join(name.upper() for name in keys)} unencrypted"
    return [ConfigurationFault("OTLP_ENDPOINT", endpoint, rule, "give the address with https://")]


def environment_faults(environ: Mapping[str, str]) -> list[ConfigurationFault]:
    """Give what another server's environment has left that would reach into ``prethrift-backend serve``.

    ``serve`` has a folder of its own for the metrics of its workers. In a folder from outside the counts of processes
    that are gone would be added to its own, and nobody would ever remove them.
    """
    folder = environ.get(_FOREIGN_FOLDER, "")
    if not folder:
        return []
    rule = "would mix the counts of other processes with those of this one"
    return [
        ConfigurationFault(_FOREIGN_FOLDER, folder, rule, "leave it out: WORKERS is all that several processes need")
    ]


def serving_faults(settings: Settings) -> list[ConfigurationFault]:
    """Give what keeps these settings from serving by ``prethrift-backend serve``, which is where HOST is known."""
    if settings.debug and not _is_loopback(settings.host):
        rule = f"with HOST={settings.host!r} shows tracebacks to the whole network"
        return [ConfigurationFault("DEBUG", "true", rule, "give HOST=127.0.0.1, or leave DEBUG out")]
    return []


def _is_cleartext(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and not _is_private(parts.hostname or "")


def _is_private(host: str) -> bool:
    name = host.removesuffix(".")
    try:
        return not ip_address(name).is_global
    except ValueError:
        # A name without a dot is resolved by the machine's own search list; a number is an address in another notation.
        return name.endswith(_PRIVATE_SUFFIXES) or ("." not in name and not _NUMBER.fullmatch(name))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == _LOOPBACK
