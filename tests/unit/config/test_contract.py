"""contracts/settings.txt says exactly what the settings are."""

import pytest

from prethrift_backend.config import SettingPromise, Settings, describe_fields
from prethrift_backend.contracts import load_settings_contract
from prethrift_backend.verify.lint.setting_model import check_settings_model

CONTRACT = load_settings_contract()


def test_the_contract_and_the_settings_are_the_same() -> None:
    """Names, types, defaults, groups, secrets and order agree in both directions."""
    assert [finding.message for finding in check_settings_model(CONTRACT, Settings)] == []
    assert [setting.name for setting in CONTRACT.settings] == [promise.name for promise in describe_fields()]


def test_the_contract_has_this_version() -> None:
    """A change of the settings is a new version."""
    assert CONTRACT.version == "1.2.1"


@pytest.mark.parametrize("promise", describe_fields(), ids=lambda promise: promise.name)
def test_every_setting_is_explained(promise: SettingPromise) -> None:
    """Each setting has a meaning of one line and a group."""
    assert promise.meaning
    assert "\n" not in promise.meaning
    assert promise.group in {"application", "database", "observability", "AWS", "models", "health"}


def test_the_secrets_are_these() -> None:
    """Exactly these settings are secret."""
    secrets = {promise.name for promise in describe_fields() if promise.secret}

    assert secrets == {"DATABASE_URL", "OTLP_API_KEY", "OTLP_HEADERS", "SENTRY_DSN", "HEALTH_TOKEN", "METRICS_TOKEN"}
