"""``settings.txt`` held against itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from prethrift_backend.contracts import Setting, SettingsContract
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.lint.findings import About

_SECRETS: Final = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|SECRET|TOKEN|DSN|CREDENTIALS?|APIKEY|API_KEY|PRIVATE_KEY|SECRET_KEY|ACCESS_KEY)$"
)
_WITHOUT_UNIT: Final = re.compile(
    r"(?:^|_)(?:TIMEOUT|INTERVAL|DELAY|DURATION|TTL|AGE|PERIOD|PATIENCE|EXPIRY|MEMORY|BUFFER)$"
)
_UNSET: Final = "unset"


def check_settings(settings: SettingsContract) -> Iterator[Finding]:
    """Return what is wrong with a settings contract beyond what its parser refuses."""
    for setting in settings.settings:
        about = About("settings", setting.name, Place(settings.source, setting.line))
        yield from _check_secret(setting, about)
        yield from _check_required(setting, about)
        if setting.type in ("int", "float") and _WITHOUT_UNIT.search(setting.name):
            fix = "end the name in _SECONDS, _MS or _BYTES, and read the old name for a while"
            yield about.fault("FE004", f"{setting.name} says no unit", fix)


def _check_secret(setting: Setting, about: About) -> Iterator[Finding]:
    if not setting.secret and _SECRETS.search(setting.name):
        yield about.fault("FE001", f"{setting.name} holds a secret and is not marked so", "add 'secret'")
    if setting.secret and any(_value(default) != _UNSET for default in setting.defaults):
        yield about.fault("FE002", f"the secret {setting.name} has a default", "write default=unset")


def _value(default: str) -> str:
    return _UNSET if default.endswith(f":{_UNSET}") else default


def _check_required(setting: Setting, about: About) -> Iterator[Finding]:
    for environment in setting.required_in:
        default = setting.default(environment)
        if default is not None:
            message = f"{setting.name} is required in {environment} and is {default!r} where it is not set"
            yield about.fault("FE003", message, "write default=unset, or take required= away")
