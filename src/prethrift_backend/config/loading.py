"""Read the settings from where they may stand, in order: command line, environment, ``.env``, OTEL_*, defaults."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from prethrift_backend.config._sources import Given, misspelt, read_dotenv, read_otel, read_own
from prethrift_backend.config.combinations import (
    cleartext_faults,
    environment_faults,
    production_faults,
    serving_faults,
)
from prethrift_backend.config.settings import REQUIRED_IN_PRODUCTION, Settings
from prethrift_backend.exceptions import ConfigurationError, ConfigurationFault

_Rules = Callable[[Settings], list[ConfigurationFault]]

_NAMES = tuple(name.upper() for name in Settings.model_fields)


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings with where each came from.

    ``origins`` has every environment name: "command line", "environment", ".env", an OTEL_* variable, or "default".
    ``warnings`` are sentences about names that are probably misspelt; they hold no value.
    """

    settings: Settings
    origins: Mapping[str, str]
    warnings: tuple[str, ...] = field(default=())


def load_settings(
    *,
    environ: Mapping[str, str] | None = None,
    dotenv: Path | None = Path(".env"),
    overrides: Mapping[str, object] | None = None,
    required: Collection[str] = REQUIRED_IN_PRODUCTION,
    serves: bool = False,
) -> Settings:
    """Read the settings; see ``load``."""
    return load(environ=environ, dotenv=dotenv, overrides=overrides, required=required, serves=serves).settings


def load(
    *,
    environ: Mapping[str, str] | None = None,
    dotenv: Path | None = Path(".env"),
    overrides: Mapping[str, object] | None = None,
    required: Collection[str] = REQUIRED_IN_PRODUCTION,
    serves: bool = False,
) -> LoadedSettings:
    """Read the settings and note where each came from.

    ``environ`` is the process's environment unless given. ``dotenv`` may be missing as a file. ``overrides`` come from
    the command line, by attribute name; one that is None was not given. ``required`` are the attribute names without
    which production does not start: the backend's own, unless another application names what it needs. With ``serves``
    they are for ``prethrift-backend serve``, which looks at HOST and at the folder of its metrics as well. Raises
    ConfigurationError with every fault of every source, the rules over several settings included.
    """
    _refuse_unknown(required, argument="required")
    environment = os.environ if environ is None else environ
    file, faults = read_dotenv(dotenv)
    own = [
        *_command_line(overrides or {}),
        *read_own(environment, _NAMES, origin="environment"),
        *read_own(file, _NAMES, origin=".env"),
    ]
    given = _first(own)
    standard, otel_faults = read_otel({**file, **_not_empty(environment)})
    faults += [fault for fault in otel_faults if not _answered(fault, given)]
    faults += environment_faults(environment) if serves else []
    given = _first([*own, *standard])
    settings = _build(given, faults, partial(_faults_across, required=required, serves=serves))
    warnings = (
        *misspelt(environment, _NAMES, origin="environment"),
        *misspelt(file, _NAMES, origin=".env"),
    )
    origins = {name: given[name.lower()].origin if name.lower() in given else "default" for name in _NAMES}
    return LoadedSettings(settings, MappingProxyType(origins), warnings)


def _command_line(overrides: Mapping[str, object]) -> list[Given]:
    _refuse_unknown(overrides, argument="overrides")
    return [Given(name, value, "command line") for name, value in overrides.items() if value is not None]


def _refuse_unknown(names: Collection[str], *, argument: str) -> None:
    unknown = sorted(name for name in names if name not in Settings.model_fields)
    if unknown:
        raise TypeError(f"{argument}={unknown!r} are not settings: use the attribute names of Settings")


def _not_empty(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if value.strip()}


def _first(items: list[Given]) -> dict[str, Given]:
    """Keep for each attribute the value that was found first."""
    return {item.attribute: item for item in reversed(items)}


def _answered(fault: ConfigurationFault, given: Mapping[str, Given]) -> bool:
    """Tell whether a setting of ours is set, so that the standard variable is not asked."""
    return fault.name.startswith("OTEL_TRACES_SAMPLER") and "trace_sample_rate" in given


def _build(given: Mapping[str, Given], faults: list[ConfigurationFault], rules: _Rules) -> Settings:
    """Make the settings, or raise every fault: of the sources, of the values, of what they are together."""
    settings, value_faults = _attempt({name: item.value for name, item in given.items()})
    wrong = {fault.name.lower() for fault in value_faults}
    if settings is None:  # what is left when the faulty values are away, for the rules over several settings
        settings, _ = _attempt({name: item.value for name, item in given.items() if name not in wrong})
    together = rules(settings) if settings else []
    across = [fault for fault in together if fault.name.lower() not in wrong]
    everything = [*faults, *(_under_own_name(fault, given) for fault in (*value_faults, *across))]
    if settings is None or everything:
        # Shown values are masked; nothing is chained, for what stands behind holds the values themselves.
        raise ConfigurationError(everything)
    return settings


def _faults_across(settings: Settings, *, required: Collection[str], serves: bool) -> list[ConfigurationFault]:
    faults = [*production_faults(settings, required=required), *cleartext_faults(settings)]
    named = {fault.name for fault in faults}
    # One line a setting: what production says of DEBUG is enough.
    return faults + [fault for fault in (serving_faults(settings) if serves else ()) if fault.name not in named]


def _attempt(values: Mapping[str, object]) -> tuple[Settings | None, Sequence[ConfigurationFault]]:
    try:
        return Settings(**values), ()
    except ConfigurationError as error:
        return None, error.faults


def _under_own_name(fault: ConfigurationFault, given: Mapping[str, Given]) -> ConfigurationFault:
    """Name the variable that the user wrote, where it is one of OpenTelemetry's."""
    item = given.get(fault.name.lower())
    return replace(fault, name=item.origin) if item and item.origin.startswith("OTEL_") else fault
