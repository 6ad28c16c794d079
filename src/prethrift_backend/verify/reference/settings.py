"""``settings.md``: every name that is read from the environment."""

from __future__ import annotations

from typing import Final

from prethrift_backend.config.report import describe_defaults
from prethrift_backend.contracts import Setting, SettingsContract
from prethrift_backend.verify.reference.markdown import alternatives, code, page, paragraph, table, text

_TITLE: Final = "Settings"
_INTRO: Final = (
    "What is read from the environment. What is secret is never shown: not in a log, not in an error, not in a trace."
)


def render_settings(contract: SettingsContract) -> str:
    """Return ``settings.md``."""
    blocks = [paragraph(_INTRO)]
    for group in dict.fromkeys(setting.group for setting in contract.settings):
        rows = [_row(setting) for setting in contract.settings if setting.group == group]
        blocks += [
            f"## {text(group)}" if group else "",
            table(("name", "type", "default", "required", "meaning"), rows),
        ]
    return page(_TITLE, blocks)


def _row(setting: Setting) -> tuple[str, ...]:
    secret = ["secret"] if setting.secret else []
    required = f"in {alternatives(setting.required_in)}" if setting.required_in else ""
    meaning = "; ".join([*([text(setting.note)] if setting.note else []), *secret])
    default = describe_defaults(setting.defaults, code=code)
    return code(setting.name), _type(setting), default, required, meaning


def _type(setting: Setting) -> str:
    return f"one of {alternatives(setting.values)}" if setting.type == "enum" else setting.type
