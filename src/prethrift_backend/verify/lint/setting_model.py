"""A class of settings, held against ``settings.txt`` both ways, and the environment that is read past it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from prethrift_backend.config import Settings, describe_fields
from prethrift_backend.config._fields import choices, is_secret, plain_type
from prethrift_backend.contracts import Setting, SettingsContract
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.lint.expressions import last_word
from prethrift_backend.verify.lint.findings import About
from prethrift_backend.verify.lint.source import Source, SourceModule

_KINDS: Final[dict[object, str]] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    SecretStr: "str",
    Path: "path",
}
# What belongs to the terminal, the shell and the libraries, and is nobody's setting.
_NOT_OURS: Final = frozenset(
    {"NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "LINES", "HOME", "PATH", "PWD", "TMPDIR", "TZ", "LANG", "USER", "CI"}
)
_LIBRARIES: Final = ("GITHUB_", "OTEL_", "PROMETHEUS_", "PYTHON", "PYTEST_", "AWS_", "LC_", "XDG_", "GRPC_")


@dataclass(frozen=True, slots=True)
class Read:
    """One setting as a class has it; None stands for what cannot be told."""

    name: str
    kind: str | None
    defaults: tuple[str, ...] | None
    secret: bool
    group: str | None = None
    required_in_production: bool | None = None


def settings_of(model: type[BaseSettings]) -> list[Read]:
    """Return the settings of a class, by their names in the environment."""
    if model is Settings:
        return [
            Read(one.name, one.kind, one.defaults, one.secret, one.group, one.required_in_production)
            for one in describe_fields()
        ]
    prefix = str(model.model_config.get("env_prefix") or "")
    return [_read(name, field, prefix) for name, field in model.model_fields.items()]


def _read(name: str, field: FieldInfo, prefix: str) -> Read:
    words = choices(field)
    kind = f"enum {'|'.join(map(str, words))}" if words else _KINDS.get(plain_type(field))
    return Read(_environment_name(name, field, prefix), kind, _defaults(field), is_secret(field))


def _environment_name(name: str, field: FieldInfo, prefix: str) -> str:
    alias: Any = field.validation_alias
    if isinstance(alias, AliasChoices):
        alias = next((one for one in alias.choices if isinstance(one, str)), None)
    return alias.upper() if isinstance(alias, str) else f"{prefix}{name}".upper()


def _defaults(field: FieldInfo) -> tuple[str, ...] | None:
    if field.default_factory is not None:
        return None
    if field.is_required() or field.default is None:
        return ("unset",)
    default = field.default
    return (str(default).lower() if isinstance(default, bool) else str(default),)


def check_settings_model(contract: SettingsContract, model: type[BaseSettings]) -> Iterator[Finding]:
    """Say where a class of settings and a contract differ."""
    read = {one.name: one for one in settings_of(model)}
    for setting in contract.settings:
        about = About("settings", setting.name, Place(contract.source, setting.line))
        if setting.name not in read:
            message = f"{setting.name} is promised, and {model.__name__} does not read it"
            yield about.fault("V006", message, "read it, or take it out of the contract")
            continue
        for what, expected, observed in _differences(setting, read[setting.name]):
            message = f"{setting.name} has another {what}"
            yield about.fault("CD013", message, "correct one", expected=expected, observed=observed)
    promised = {setting.name for setting in contract.settings}
    for name in read:
        if name not in promised:
            about = About("settings", name, Place(contract.source))
            message = f"{model.__name__} reads {name}, and {contract.source} does not promise it"
            yield about.fault("V006", message, "add a SETTING line for it")


def _differences(setting: Setting, read: Read) -> Iterator[tuple[str, str, str]]:
    if read.kind is not None and read.kind != setting.kind:
        yield "type", setting.kind, read.kind
    if read.defaults is not None and read.defaults != setting.defaults and not _same_number(setting, read.defaults):
        yield "default", ",".join(setting.defaults), "********" if read.secret else ",".join(read.defaults)
    if read.secret != setting.secret:
        yield "secrecy", _secrecy(setting.secret), _secrecy(read.secret)
    if read.group is not None and read.group != setting.group:
        yield "group", setting.group, read.group
    if read.required_in_production is not None and read.required_in_production != setting.required_in_production:
        yield "demand in production", _demand(setting.required_in_production), _demand(read.required_in_production)


def _same_number(setting: Setting, defaults: tuple[str, ...]) -> bool:
    try:
        return setting.type in ("int", "float") and [float(one) for one in setting.defaults] == list(
            map(float, defaults)
        )
    except ValueError:
        return False


def _secrecy(is_secret_setting: bool) -> str:
    return "secret" if is_secret_setting else "no secret"


def _demand(is_required: bool) -> str:
    return "required" if is_required else "not required"


def check_environment(contract: SettingsContract, source: Source) -> Iterator[Finding]:
    """Say which names of the environment a source reads that no contract has."""
    promised = {setting.name for setting in contract.settings}
    for module in source.modules.values():
        for read in _reads_of(module):
            name = source.text_of(read, module)
            if name is not None and name not in promised | _NOT_OURS and not name.startswith(_LIBRARIES):
                about = About("settings", name, Place(module.path, read.lineno))
                message = f"{name} is read from the environment, and {contract.source} does not promise it"
                yield about.fault("CD014", message, "make it a setting, and add a SETTING line for it")


def _reads_of(module: SourceModule) -> Iterator[ast.expr]:
    """Yield the names that a module asks the environment for."""
    yield from (call.args[0] for call in module.calls if call.args and _reads(call.func))
    for lookup in module.lookups:
        if last_word(lookup.value) == "environ" and isinstance(lookup.ctx, ast.Load):
            yield lookup.slice


def _reads(function: ast.expr) -> bool:
    """Say whether a call is ``os.environ.get`` or ``os.getenv``."""
    if last_word(function) == "getenv":
        return True
    return isinstance(function, ast.Attribute) and function.attr == "get" and last_word(function.value) == "environ"
