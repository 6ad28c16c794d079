"""Show the settings to people: what is in force, and the table of the README."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from prethrift_backend.config._faults import MASK, shown
from prethrift_backend.config.loading import LoadedSettings
from prethrift_backend.config.settings import Settings


def describe_settings(loaded: LoadedSettings) -> str:
    """Give what ``prethrift-backend config`` prints: a line for each setting with name, value and origin."""
    rows = [
        (name.upper(), _in_force(name, field, loaded.settings), loaded.origins[name.upper()])
        for name, field in Settings.model_fields.items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for name, value, origin in rows]
    return "\n".join([*lines, *(f"warning: {warning}" for warning in loaded.warnings)])


def _in_force(name: str, field: FieldInfo, settings: Settings) -> str:
    value = getattr(settings, name)
    if value is None:
        return "(not set)"
    if isinstance(value, SecretStr) and name == "database_url":
        return _without_password(value.get_secret_value())
    return _written(value) if isinstance(value, bool) else shown(field, value)


def _without_password(url: str) -> str:
    """Show who, where and which database; the password and the options, which may hold another, are masked."""
    parts = urlsplit(url)
    user, _, hosts = parts.netloc.rpartition("@")
    who = user.partition(":")[0] + (f":{MASK}" if ":" in user else "") + "@" if user else ""
    options = f"?{MASK}" if parts.query else ""
    return f"{parts.scheme}://{who}{hosts}{parts.path}{options}"


def _written(value: object) -> str:
    """Write a value as it would stand in the environment."""
    return str(value).lower() if isinstance(value, bool) else str(value)
