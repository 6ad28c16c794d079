"""contracts/settings.txt says exactly what the settings are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prethrift_backend.config import SettingPromise, describe_fields

CONTRACT = Path(__file__).parents[3] / "contracts" / "settings.txt"


def _promised(text: str) -> Iterator[SettingPromise]:
    for line in text.splitlines():
        if not line.startswith("SETTING "):
            assert not line or line.startswith("#"), f"{line!r} is neither a setting nor a comment"
            continue
        words = line.split()
        start = next(index for index, word in enumerate(words) if word.startswith("default="))
        options = dict(word.partition("=")[::2] for word in words[start:])
        assert options.keys() <= {"default", "group", "secret", "required"}, line
        yield SettingPromise(
            name=words[1],
            kind=" ".join(words[2:start]),
            defaults=tuple(options["default"].split(",")),
            group=options["group"],
            secret="secret" in options,
            required_in_production=options.get("required") == "production",
            meaning="",
        )


def _without_meaning(promise: SettingPromise) -> SettingPromise:
    return SettingPromise(**{name: getattr(promise, name) for name in promise.__slots__} | {"meaning": ""})


def test_the_contract_and_the_settings_are_the_same() -> None:
    """Names, types, defaults, groups, secrets and order agree in both directions."""
    promised = list(_promised(CONTRACT.read_text(encoding="utf-8")))

    assert promised == [_without_meaning(promise) for promise in describe_fields()]


def test_the_contract_names_itself_and_its_version() -> None:
    """The first line is the directive that every contract begins with."""
    first = CONTRACT.read_text(encoding="utf-8").splitlines()[0]

    assert first.split() == ["#", "CONTRACT", "settings", "1.2.0"]


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
