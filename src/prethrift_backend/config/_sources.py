"""The places where settings stand: the environment, a ``.env`` file, and OpenTelemetry's standard variables.

Each reader gives raw text and where it was found; whether the text is a good value is for ``Settings`` to say. White
space around a value is dropped (a token piped through ``echo`` ends with a line break), and an empty value is unset.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from dotenv.parser import Binding, parse_stream

from prethrift_backend.exceptions import ConfigurationFault

# https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
# OTEL_LOG_LEVEL is left out on purpose: it is the level of the SDK's talk about itself, not of the application's log.
_RESOURCE = "OTEL_RESOURCE_ATTRIBUTES"
_SAMPLER = "OTEL_TRACES_SAMPLER"
_SAMPLER_ARGUMENT = "OTEL_TRACES_SAMPLER_ARG"
_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_PROTOCOLS = {"grpc": "grpc", "http/protobuf": "http"}
_TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_TEMPORALITIES = {"cumulative": "cumulative", "delta": "delta"}
_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
_OTHER_NAMES = {
    "OTEL_SERVICE_NAME": "service_name",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "otlp_endpoint",
    "OTEL_EXPORTER_OTLP_HEADERS": "otlp_headers",
}
_FIXED_SHARES = {"always_on": "1", "always_off": "0"}
_SAMPLERS = ("always_on", "always_off", "traceidratio")
# The older name of the environment first: where both are given, the newer one counts.
_ATTRIBUTES = {
    "service.name": "service_name",
    "service.version": "service_version",
    "deployment.environment": "environment",
    "deployment.environment.name": "environment",
}
_SHORT_NAME = 8  # arbitrary: in a name this short, two letters' difference is another word


@dataclass(frozen=True, slots=True)
class Given:
    """One value as it was found: the attribute it is for, the raw value, the origin to show."""

    attribute: str
    value: object
    origin: str


def read_own(environ: Mapping[str, str], names: Iterable[str], *, origin: str) -> list[Given]:
    """Give the settings that stand in a mapping under their own names."""
    return [Given(name.lower(), value, origin) for name, value in _stripped(environ, names)]


def read_dotenv(path: Path | None) -> tuple[dict[str, str], list[ConfigurationFault]]:
    """Read a ``.env`` file; none and a missing one are empty. Faults name the line and never quote it.

    Values are taken as they stand, without ``${NAME}`` being filled in: a password may hold a dollar sign.
    """
    if path is None:
        return {}, []
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        return {}, [ConfigurationFault(str(path), None, f"cannot be read ({reason})", "make it a readable file")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return {}, [ConfigurationFault(f"{path} line {line}", None, "is not UTF-8", "save the file as UTF-8")]
    return _bindings(path, text)


def _bindings(path: Path, text: str) -> tuple[dict[str, str], list[ConfigurationFault]]:
    found: dict[str, str] = {}
    faults: list[ConfigurationFault] = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            where = f"{path} line {_line(binding)}"
            fix = "write NAME=value, with every quote closed, or begin the line with #"
            faults.append(ConfigurationFault(where, None, "cannot be understood", fix))
        elif binding.key is not None:
            found[binding.key] = binding.value or ""
    return found, faults


def _line(binding: Binding) -> int:
    """Give the line of the binding itself: the parser counts from the empty lines before it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def read_otel(environ: Mapping[str, str]) -> tuple[list[Given], list[ConfigurationFault]]:
    """Give what OpenTelemetry's standard variables say of our settings, the more specific variable first.

    A fault's name is the variable's. The caller drops the faults of what a setting of ours already answers.
    """
    found = [Given(_OTHER_NAMES[name], value, name) for name, value in _stripped(environ, _OTHER_NAMES)]
    readings = [
        _resource(environ.get(_RESOURCE, "").strip()),
        _sampler(environ),
        _word(environ, _PROTOCOL, "otlp_protocol", _PROTOCOLS),
        _word(environ, _TEMPORALITY, "otlp_metrics_temporality", _TEMPORALITIES),
        _interval(environ.get(_INTERVAL, "").strip()),
    ]
    for given, _ in readings:
        found += given
    return found, [fault for _, faults in readings for fault in faults]


def _stripped(environ: Mapping[str, str], names: Iterable[str]) -> list[tuple[str, str]]:
    stripped = ((name, environ.get(name, "").strip()) for name in names)
    return [(name, value) for name, value in stripped if value]


def _word(
    environ: Mapping[str, str], name: str, attribute: str, words: Mapping[str, str]
) -> tuple[list[Given], list[ConfigurationFault]]:
    """Turn one of OpenTelemetry's words into ours."""
    written = environ.get(name, "").strip()
    if not written:
        return [], []
    if written.lower() not in words:
        return [], [ConfigurationFault(name, written, "is not one that we have", f"give {' or '.join(words)}")]
    return [Given(attribute, words[written.lower()], name)], []


def _interval(written: str) -> tuple[list[Given], list[ConfigurationFault]]:
    """Turn milliseconds into seconds."""
    if not written:
        return [], []
    if not written.isdecimal():
        return [], [ConfigurationFault(_INTERVAL, written, "is not a time", "give a whole number of milliseconds")]
    return [Given("otlp_metrics_interval_seconds", str(int(written) / 1000), _INTERVAL)], []


def _resource(text: str) -> tuple[list[Given], list[ConfigurationFault]]:
    """Take OTEL_RESOURCE_ATTRIBUTES apart: ``key=value`` with commas between, percent-encoded."""
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, separator, value = part.partition("=")
        if not separator or not key.strip():
            fix = "write service.name=shop,service.version=1.2, and %2C for a comma in a value"
            return [], [ConfigurationFault(_RESOURCE, None, "is not a list of key=value", fix)]
        pairs[unquote(key.strip())] = unquote(value.strip())
    found = {attribute: pairs[key] for key, attribute in _ATTRIBUTES.items() if pairs.get(key)}
    return [Given(attribute, value, _RESOURCE) for attribute, value in found.items()], []


def _sampler(environ: Mapping[str, str]) -> tuple[list[Given], list[ConfigurationFault]]:
    """Turn a sampler and its argument into a share; the parent-based ones count as what they are based on."""
    written = environ.get(_SAMPLER, "").strip()
    kind = written.lower().removeprefix("parentbased_")
    if not kind:
        return [], []
    if kind not in _SAMPLERS:
        fix = f"give {', '.join(_SAMPLERS)}, or one of them after parentbased_"
        return [], [ConfigurationFault(_SAMPLER, written, "is not a sampler that we have", fix)]
    if kind in _FIXED_SHARES:
        return [Given("trace_sample_rate", _FIXED_SHARES[kind], _SAMPLER)], []
    share = environ.get(_SAMPLER_ARGUMENT, "").strip()
    return [Given("trace_sample_rate", share or "1", _SAMPLER_ARGUMENT if share else _SAMPLER)], []


def misspelt(environ: Mapping[str, str], names: Sequence[str], *, origin: str) -> Iterator[str]:
    """Give a sentence for each name that is not one of ours but was probably meant to be; never the value."""
    for name, value in environ.items():
        if name in names or not value.strip():
            continue
        meant = _meant(name, value, names)
        if meant is not None and not environ.get(meant, "").strip():
            yield f"{name} ({origin}) is not a setting and has no effect: did you mean {meant}?"


def _meant(name: str, value: str, names: Sequence[str]) -> str | None:
    upper = name.upper()
    # Kubernetes sets PRETHRIFT_PORT=tcp://… by itself for a service of that name.
    bare = upper.removeprefix("PRETHRIFT_")
    if bare in names and not value.startswith("tcp://"):
        return bare
    # One letter's difference changes the set of letters by two at most; asking that first keeps the start quick.
    alike = [known for known in names if abs(len(upper) - len(known)) <= 2 and len(set(upper) ^ set(known)) <= 4]
    distances = {known: _distance(upper, known) for known in alike}
    nearest = min(distances, key=lambda known: distances[known], default=None)
    if nearest is None:
        return None
    return nearest if distances[nearest] <= (1 if len(nearest) < _SHORT_NAME else 2) else None


def _distance(left: str, right: str) -> int:
    """Count the letters to add, drop, change or swap with their neighbour (optimal string alignment)."""
    before: list[int] = []
    above = list(range(len(right) + 1))
    for row, letter in enumerate(left, start=1):
        line = [row]
        for column, other in enumerate(right, start=1):
            best = min(above[column] + 1, line[-1] + 1, above[column - 1] + (letter != other))
            if row > 1 and column > 1 and letter == right[column - 2] and left[row - 2] == other:
                best = min(best, before[column - 2] + 1)
            line.append(best)
        before, above = above, line
    return above[-1]
