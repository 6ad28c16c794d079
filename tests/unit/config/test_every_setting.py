"""Every setting of the contract is read from the environment, and takes another value than its default."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from pydantic import SecretStr

from prethrift_backend.config import load_settings
from prethrift_backend.contracts import Setting, load_settings_contract

SETTINGS = load_settings_contract().settings

TEXTS: Mapping[str, str] = {
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9000",
    "AWS_REGION": "us-west-2",
    "DATABASE_URL": "postgresql://shop:secret@db.example:5432/shop",
    "JAEGER_ENDPOINT": "http://jaeger.example:4318",
    "OTLP_API_KEY": "0123456789abcdef",
    "OTLP_ENDPOINT": "http://collector.example:4318",
    "OTLP_HEADERS": "x-team=shop",
    "SENTRY_DSN": "https://abc@sentry.example/1",
    "SENTRY_SPOTLIGHT": "http://localhost:8969/stream",
}


def _other_value(setting: Setting) -> str:
    default = setting.default("development") or ""
    if setting.type == "bool":
        return "false" if default == "true" else "true"
    if setting.type == "enum":
        return next(value for value in setting.values if value != default)
    if setting.type == "int":
        return str(int(default) + 1)
    if setting.type == "float":
        return str(float(default) / 2 or 0.5)
    return TEXTS.get(setting.name, "another-word-than-before")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_another_value_is_read(setting: Setting) -> None:
    """The value of the environment is the one that the settings have, as the type of the contract."""
    text = _other_value(setting)

    value = getattr(load_settings(environ={setting.name: text}, dotenv=None), setting.name.lower())

    shown = value.get_secret_value() if isinstance(value, SecretStr) else value
    assert isinstance(value, SecretStr) == setting.secret
    assert (str(shown).lower() if setting.type == "bool" else str(shown)) == text
