"""The settings as a promise: what ``contracts/settings.txt`` says of each, drawn from the model itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from prethrift_backend.config._fields import choices, is_secret, plain_type, shown
from prethrift_backend.config.settings import REQUIRED_IN_PRODUCTION, ByEnvironment, Settings

PACKAGE_VERSION = "package-version"
UNSET = "unset"

_KINDS = {bool: "bool", int: "int", float: "float", str: "str", SecretStr: "str", Path: "path"}


@dataclass(frozen=True, slots=True)
class SettingPromise:
    """One setting as its users may count on it.

    ``kind`` is bool, int, float, str, path or ``enum a|b``. ``defaults`` has one text, or one for each environment
    as ``development:text``; ``unset`` and ``package-version`` stand for themselves.
    """

    name: str
    kind: str
    defaults: tuple[str, ...]
    group: str
    secret: bool
    required_in_production: bool
    meaning: str


def describe_fields() -> tuple[SettingPromise, ...]:
    """Give the promise of every setting, in the order in which they are shown."""
    return tuple(_promise(name, field) for name, field in Settings.model_fields.items())


def _promise(name: str, field: FieldInfo) -> SettingPromise:
    extra = field.json_schema_extra
    return SettingPromise(
        name=name.upper(),
        kind=_kind(field),
        defaults=_defaults(field),
        group=str(extra["group"]) if isinstance(extra, dict) else "",
        secret=is_secret(field),
        required_in_production=name in REQUIRED_IN_PRODUCTION,
        meaning=field.description or "",
    )


def _kind(field: FieldInfo) -> str:
    words = choices(field)
    return f"enum {'|'.join(words)}" if words else _KINDS[plain_type(field)]  # type: ignore[index]  # a type, always


def _defaults(field: FieldInfo) -> tuple[str, ...]:
    factory = field.default_factory
    if isinstance(factory, ByEnvironment):
        return tuple(f"{environment}:{shown(field, value)}" for environment, value in factory.items())
    if factory is not None:
        return (PACKAGE_VERSION,)
    return (UNSET if field.default is None else shown(field, field.default),)
