"""What people are shown of the settings."""

from prethrift_backend.config import Settings, describe_settings, load, render_settings_table


def _line(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.split()[0] == name]
    return line.split(maxsplit=2)


def test_every_setting_has_a_line_with_value_and_origin() -> None:
    """The description has one aligned line for each setting, in their order."""
    text = describe_settings(load(environ={"PORT": "9000"}, dotenv=None, overrides={"debug": True}))

    assert [line.split()[0] for line in text.splitlines()] == [name.upper() for name in Settings.model_fields]
    assert _line(text, "PORT") == ["PORT", "9000", "environment"]
    assert _line(text, "DEBUG") == ["DEBUG", "true", "command line"]
    assert _line(text, "WORKERS") == ["WORKERS", "1", "default"]
    assert len({line.rstrip().rfind("  ") for line in text.splitlines()}) == 1


def test_secrets_are_masked_but_the_database_can_be_told() -> None:
    """A database is shown with user, host and name; its password, its options and every other secret are not."""
    environ = {
        "DATABASE_URL": "postgresql://shop:hidden@db.internal:5432/prethrift?sslpassword=hidden",
        "HEALTH_TOKEN": "hidden-hidden-hidden",
        "OTLP_ENDPOINT": "https://collector.example/?key=hidden",
    }

    text = describe_settings(load(environ=environ, dotenv=None))

    assert "hidden" not in text
    shown = "postgresql://shop:********@db.internal:5432/prethrift?********"
    assert _line(text, "DATABASE_URL") == ["DATABASE_URL", shown, "environment"]
    assert _line(text, "HEALTH_TOKEN")[1] == "********"
    assert _line(text, "OTLP_ENDPOINT")[1] == "https://collector.example/?********"


def test_a_database_without_a_password_is_shown_as_it_is() -> None:
    """Where nothing is secret nothing is masked."""
    text = describe_settings(load(environ={"DATABASE_URL": "postgresql://shop@/prethrift"}, dotenv=None))

    assert _line(text, "DATABASE_URL")[1] == "postgresql://shop@/prethrift"


def test_warnings_close_the_description() -> None:
    """Probable misspellings are told below the settings."""
    text = describe_settings(load(environ={"HEALTH_TOKN": "hidden"}, dotenv=None))

    assert text.splitlines()[-1].startswith("warning: HEALTH_TOKN (environment) is not a setting")
    assert "hidden" not in text


def test_the_table_has_a_row_for_every_setting() -> None:
    """The README's tables name every setting once, with its default and meaning."""
    rows = [line for line in render_settings_table().splitlines() if line.startswith("| `")]

    assert [row.split("`")[1] for row in rows] == [name.upper() for name in Settings.model_fields]
    assert all(row.count("|") == 4 for row in rows)
    assert "| `PORT` | `8000` | the port to listen on; 0 for any free one |" in rows


def test_the_table_tells_defaults_that_follow_the_environment() -> None:
    """A default that differs by environment is told in words, and one that does not stay is not written down."""
    table = render_settings_table()

    assert "| `LOG_FORMAT` | `console` in development, `json` elsewhere |" in table
    assert "| `SERVICE_VERSION` | the package's version |" in table
    assert "(secret, required in production)" in table
