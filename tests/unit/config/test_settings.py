"""The settings as a value: defaults, rules, and what may never be seen of it."""

import pytest

from prethrift_backend import __version__
from prethrift_backend.config import Settings
from prethrift_backend.exceptions import ConfigurationError


def test_the_defaults_start_a_development_server() -> None:
    """Without any argument the settings are those of a developer's machine."""
    settings = Settings()

    assert (settings.environment, settings.host, settings.port) == ("development", "127.0.0.1", 8000)
    assert (settings.service_name, settings.service_version) == ("prethrift-backend", __version__)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ("development", ("console", 1.0, "parent", "always")),
        ("staging", ("json", 0.1, "link", "authorized")),
        ("production", ("json", 0.1, "link", "authorized")),
    ],
)
def test_some_defaults_follow_the_environment(environment: str, expected: tuple[object, ...]) -> None:
    """Format, sampling, trust and health details have a default for each environment."""
    settings = Settings(environment=environment)

    got = (settings.log_format, settings.trace_sample_rate, settings.trace_trust, settings.health_details)

    assert got == expected


def test_a_value_wins_over_the_default_of_its_environment() -> None:
    """A setting that is given does not follow the environment."""
    assert Settings(environment="production", trace_sample_rate=0.5).trace_sample_rate == 0.5


def test_direct_construction_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings built in a test are the same on every machine."""
    monkeypatch.setenv("LOG_LEVEL", "CRITICAL")
    monkeypatch.setenv("log_level", "CRITICAL")

    assert Settings(debug=True).log_level == "INFO"


def test_settings_cannot_be_changed() -> None:
    """Assigning to a setting is refused, and the refusal does not quote the value."""
    settings = Settings()

    with pytest.raises(AttributeError, match="otlp_api_key cannot be changed: settings are frozen") as caught:
        setattr(settings, "otlp_api_key", "hidden")  # noqa: B010  # the type checker knows that it cannot be done

    assert "hidden" not in str(caught.value)


def test_a_misspelt_argument_is_refused() -> None:
    """An argument that is no setting is a fault that names the one that was meant."""
    with pytest.raises(ConfigurationError, match="log_levle is not a setting: did you mean log_level"):
        Settings(log_levle="DEBUG")


@pytest.mark.parametrize("word", ["debug", "Debug", "DEBUG"])
def test_a_log_level_may_be_written_in_any_case(word: str) -> None:
    """The log level is one of five words, however it is written."""
    assert Settings(log_level=word).log_level == "DEBUG"


@pytest.mark.parametrize("word", ["true", "TRUE", "1", "yes", "on"])
def test_a_truth_may_be_written_in_several_ways(word: str) -> None:
    """The usual words for true are understood."""
    assert Settings(debug=word).debug is True


@pytest.mark.parametrize(
    "values",
    [
        {"port": "0"},
        {"port": "65535"},
        {"host": "::1"},
        {"host": "fe80::1:8000"},
        {"host": "0.0.0.0"},  # noqa: S104  # the value itself is under test, nothing listens
        {"host": "backend.internal"},
        {"trace_sample_rate": "0"},
        {"trace_sample_rate": "1"},
        {"db_max_overflow": "0"},
        {"database_url": "postgres://localhost/prethrift"},
        {"database_url": "postgresql:///prethrift?host=/var/run/postgresql"},
        {"database_url": "postgresql://u:p%40ss@one:5432,two:5433/prethrift?target_session_attrs=read-write"},
        {"database_url": "postgresql://u:p@[::1]:5432/prethrift"},
        {"database_url": "postgresql://?dbname=prethrift"},
        {"otlp_endpoint": "https://api.honeycomb.io"},
        {"jaeger_endpoint": "http://jaeger:14268/api/traces"},
        {"sentry_dsn": "https://abc123@o1.ingest.de.sentry.io/42"},
        {"sentry_dsn": "http://abc:def@sentry.local:9000/prefix/7"},
        {"aws_region": "auto"},
        {"aws_region": "us-gov-west-1"},
        {"images_bucket": "a.b-c1"},
        {"clip_model": "sentence-transformers/clip-ViT-B-32"},
        {"text_model": "/srv/models/mini lm"},
        {"health_token": "x" * 16},
        {"drain_seconds": "0"},
        {"otlp_headers": "x-honeycomb-dataset=shop, authorization=Basic%20aTp0"},
        {"otlp_metrics_interval_seconds": "0"},
        {"sentry_spotlight": "http://localhost:8969/stream"},
        {"trace_propagate_hosts": "api.example.com, .internal"},
        {"trace_slow_seconds": "0"},
        {"metrics_token": "x" * 16},
    ],
)
def test_good_values_are_accepted(values: dict[str, str]) -> None:
    """What people really write into these settings is accepted."""
    settings = Settings(**values)

    assert settings.model_fields_set == values.keys()


FAULTS = [
    ("otlp_headers", "key", "OTLP_HEADERS='********' is not a list of headers: give name=value,name=value; "),
    ("otlp_headers", "a b=c", "OTLP_HEADERS='********' is not a list of headers: "),
    ("otlp_headers", "a=b%0Ac: d", "OTLP_HEADERS='********' is not a list of headers: "),
    ("otlp_protocol", "udp", "OTLP_PROTOCOL='udp' is not one of its choices: "),
    ("trace_propagate_hosts", "https://a.example", "TRACE_PROPAGATE_HOSTS='https://a.example' is not a host: "),
    ("metrics_token", "short", "METRICS_TOKEN='********' is too short to keep a secret: give 16 characters or more"),
    ("port", "http", "PORT='http' is not a port: give a whole number from 1 to 65535, or 0 for any free port"),
    ("port", "65536", "PORT='65536' is not a port: "),
    ("port", "-1", "PORT='-1' is not a port: "),
    ("port", "80.5", "PORT='80.5' is not a port: "),
    ("workers", "0", "WORKERS='0' is not a count: give a whole number, 1 or more"),
    ("db_pool_size", "none", "DB_POOL_SIZE='none' is not a count: "),
    ("db_max_overflow", "-1", "DB_MAX_OVERFLOW='-1' is not a count: give a whole number, 0 or more"),
    ("db_pool_timeout_seconds", "0", "DB_POOL_TIMEOUT_SECONDS='0' is not a time: give a number of seconds above 0"),
    ("db_pool_timeout_seconds", "inf", "DB_POOL_TIMEOUT_SECONDS='inf' is not a time: "),
    ("trace_sample_rate", "1.5", "TRACE_SAMPLE_RATE='1.5' is not a share: give a number from 0 to 1"),
    ("trace_sample_rate", "10%", "TRACE_SAMPLE_RATE='10%' is not a share: give a number from 0 to 1"),
    ("trace_sample_rate", "nan", "TRACE_SAMPLE_RATE='nan' is not a share: "),
    ("debug", "maybe", "DEBUG='maybe' is neither true nor false: give true or false"),
    ("environment", "prod", "ENVIRONMENT='prod' is not one of its choices: did you mean production? give "),
    ("environment", "stagging", "ENVIRONMENT='stagging' is not one of its choices: did you mean staging? "),
    ("environment", "moon", "ENVIRONMENT='moon' is not one of its choices: give development, staging or production"),
    ("log_level", "warn", "LOG_LEVEL='warn' is not one of its choices: did you mean WARNING? "),
    ("log_level", 10, "LOG_LEVEL='10' is not one of its choices: give DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    ("service_name", "two\nlines", "SERVICE_NAME='two\\nlines' is not a name: give printable text on one line"),
    ("host", "http://here", "HOST='http://here' is not a host: "),
    ("host", "localhost:8000", "HOST='localhost:8000' is not a host: "),
    ("otlp_endpoint", "localhost:4317", "OTLP_ENDPOINT='localhost:4317' is not a web address: "),
    ("otlp_endpoint", "http://", "OTLP_ENDPOINT='http://' is not a web address: "),
    ("otlp_endpoint", "http://h:port", "OTLP_ENDPOINT='http://h:port' is not a web address: "),
    ("jaeger_endpoint", "http://me:hidden@h", "JAEGER_ENDPOINT='http://********' holds a user or a password: "),
    ("aws_endpoint_url_s3", "ftp://h", "AWS_ENDPOINT_URL_S3='ftp://h' is not a web address: "),
    ("aws_region", "eu-central-1a", "AWS_REGION='eu-central-1a' is an availability zone: give the region: "),
    ("aws_region", "Frankfurt am Main", "AWS_REGION='Frankfurt am Main' is not a region: "),
    ("images_bucket", "My_Bucket", "IMAGES_BUCKET='My_Bucket' is not a bucket name: "),
    ("images_bucket", "ab", "IMAGES_BUCKET='ab' is not a bucket name: "),
    ("images_bucket", "a..b", "IMAGES_BUCKET='a..b' is not a bucket name: "),
    ("images_bucket", "192.168.5.4", "IMAGES_BUCKET='192.168.5.4' is a bucket name that S3 keeps for itself: "),
    ("images_bucket", "xn--shop", "IMAGES_BUCKET='xn--shop' is a bucket name that S3 keeps for itself: "),
    ("database_url", "mysql://u:p@h/d", "DATABASE_URL='********' is not a PostgreSQL URL: give postgresql://"),
    ("database_url", "prethrift", "DATABASE_URL='********' is not a PostgreSQL URL: give postgresql://"),
    (
        "database_url",
        "postgresql+asyncpg://u:p@h/d",
        "DATABASE_URL='********' is not a PostgreSQL URL: write postgresql:// without the driver's name",
    ),
    ("database_url", "postgresql://u:p@h", "DATABASE_URL='********' names no database: end it with one, as in "),
    ("database_url", "postgresql://u:12/3@h/d", "DATABASE_URL='********' cannot be taken apart: write @ : / "),
    ("database_url", "postgresql://u:12#3@h/d", "DATABASE_URL='********' cannot be taken apart: "),
    ("database_url", "postgresql://u:[@h/d", "DATABASE_URL='********' cannot be taken apart: "),
    ("database_url", "postgresql://u:p@h:port/d", "DATABASE_URL='********' cannot be taken apart: "),
    ("sentry_dsn", "https://sentry.io/1", "SENTRY_DSN='********' is not a Sentry DSN: copy it from "),
    ("sentry_dsn", "https://key@sentry.io/", "SENTRY_DSN='********' is not a Sentry DSN: "),
    ("sentry_dsn", "https://key@/1", "SENTRY_DSN='********' is not a Sentry DSN: "),
    ("otlp_api_key", "two words", "OTLP_API_KEY='********' cannot be sent in a header: give the key alone"),
    ("health_token", "short", "HEALTH_TOKEN='********' is too short to keep a secret: give 16 characters or more"),
    ("drain_seconds", "-1", "DRAIN_SECONDS='-1' is not a time: give a number of seconds, 0 or more"),
    ("drain_seconds", "inf", "DRAIN_SECONDS='inf' is not a time: "),
    ("health_token", "ü" * 16, "HEALTH_TOKEN='********' cannot be sent in a header: "),
]


@pytest.mark.parametrize(("name", "value", "text"), FAULTS)
def test_a_bad_value_is_told_with_rule_and_fix(name: str, value: object, text: str) -> None:
    """A fault says which setting, which value, what is wrong with it and what to give instead."""
    with pytest.raises(ConfigurationError) as caught:
        Settings(**{name: value})

    assert len(caught.value.faults) == 1
    assert str(caught.value).startswith(text)


def test_every_bad_value_is_told_at_once() -> None:
    """Three faults are three lines, in the order of the settings."""
    with pytest.raises(ConfigurationError) as caught:
        Settings(trace_sample_rate="2", port="x", health_token="y")

    assert [fault.name for fault in caught.value.faults] == ["PORT", "TRACE_SAMPLE_RATE", "HEALTH_TOKEN"]
    assert len(str(caught.value).splitlines()) == 3


def test_a_very_long_value_is_cut() -> None:
    """A value that fills the screen does not hide the rule."""
    with pytest.raises(ConfigurationError) as caught:
        Settings(port="9" * 5000)

    assert len(str(caught.value)) < 200
