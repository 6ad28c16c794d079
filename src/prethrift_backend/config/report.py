"""Show the settings to people: what is in force, and the table of the README."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from prethrift_backend.config._fields import MASK, shown
from prethrift_backend.config.loading import LoadedSettings
from prethrift_backend.config.schema import PACKAGE_VERSION, UNSET, SettingPromise, describe_fields
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
    return shown(field, value)


def _without_password(url: str) -> str:
    """Show who, where and which database; the password and the options, which may hold another, are masked."""
    parts = urlsplit(url)
    user, _, hosts = parts.netloc.rpartition("@")
    who = user.partition(":")[0] + (f":{MASK}" if ":" in user else "") + "@" if user else ""
    options = f"?{MASK}" if parts.query else ""
    return f"{parts.scheme}://{who}{hosts}{parts.path}{options}"


def render_settings_table() -> str:
    """Give the Markdown tables of the README, one a group; the text ends with a line break."""
    groups = groupby(describe_fields(), key=lambda promise: promise.group)
    return "\n".join(_table(group, list(promises)) for group, promises in groups)


def _table(group: str, promises: list[SettingPromise]) -> str:
    head = [f"**{group}**", "", "| name | default | meaning |", "| --- | --- | --- |"]
    rows = [
        f"| `{promise.name}` | {describe_defaults(promise.defaults, code='`{}`'.format)} | {_meaning_cell(promise)} |"
        for promise in promises
    ]
    return "\n".join([*head, *rows, ""])


def describe_defaults(defaults: Sequence[str], *, code: Callable[[str], str]) -> str:
    """Say in Markdown what a setting is when it is not set; ``code`` makes a code span of a value.

    ``defaults`` has one text or one for each environment, as `SettingPromise` and ``settings.txt`` have them.
    """
    if tuple(defaults) == (UNSET,):
        return ""
    if len(defaults) == 1:
        return _default(defaults[0], code)
    texts = {environment: _default(text, code) for environment, text in (one.split(":", 1) for one in defaults)}
    if texts["staging"] == texts["production"]:
        return f"{texts['development']} in development, {texts['production']} elsewhere"
    return ", ".join(f"{text} in {environment}" for environment, text in texts.items())


def _default(text: str, code: Callable[[str], str]) -> str:
    return {UNSET: "nothing", PACKAGE_VERSION: "the package's version"}.get(text) or code(text)


def _meaning_cell(promise: SettingPromise) -> str:
    notes = ["secret"] * promise.secret + ["required in production"] * promise.required_in_production
    return promise.meaning + (f" ({', '.join(notes)})" if notes else "")
