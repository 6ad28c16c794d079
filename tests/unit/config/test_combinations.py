"""What is right alone and unsafe together is refused, with the fix, and all of it at once."""

from typing import Any

import pytest

from prethrift_backend.config import Settings, load, production_faults
from prethrift_backend.config.combinations import cleartext_faults, serving_faults
from prethrift_backend.exceptions import ConfigurationError

SPOTLIGHT = "http://localhost:8969/stream"
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - nothing is bound
FOR_DEVELOPMENT: dict[str, Any] = {
    "debug": True,
    "trace_console": True,
    "sentry_spotlight": SPOTLIGHT,
}


def test_production_needs_four_settings_and_none_for_development() -> None:
    """What keeps production from starting is told, each with its fix."""
    faults = [str(fault) for fault in production_faults(Settings(environment="production", **FOR_DEVELOPMENT))]

    assert faults == [
        "DATABASE_URL is not set: production does not start without it",
        "OTLP_ENDPOINT is not set: production does not start without it",
        "OTLP_API_KEY is not set: production does not start without it",
        "SENTRY_DSN is not set: production does not start without it",
        "DEBUG='true' shows tracebacks to callers: leave it out in production",
        "TRACE_CONSOLE='true' writes every span among the lines of the log: leave it out in production",
        f"SENTRY_SPOTLIGHT={SPOTLIGHT!r} sends the errors to a tool for development, too: leave it out in production",
    ]


@pytest.mark.parametrize("environment", ["development", "staging"])
def test_only_production_needs_them(environment: str) -> None:
    """A developer's machine and staging start with nothing set."""
    assert production_faults(Settings(environment=environment, **FOR_DEVELOPMENT)) == []


@pytest.mark.parametrize("host", [ANY_ADDRESS, "::", "192.168.1.2", "shop.example"])
def test_tracebacks_are_not_for_the_network(host: str) -> None:
    """DEBUG serves this machine alone; where HOST is another address, both ways out are named."""
    (fault,) = serving_faults(Settings(debug=True, host=host))

    expected = f"DEBUG='true' with HOST={host!r} shows tracebacks to the whole network"
    assert str(fault) == f"{expected}: give HOST=127.0.0.1, or leave DEBUG out"
    assert serving_faults(Settings(host=host)) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LocalHost"])
def test_tracebacks_are_for_this_machine(host: str) -> None:
    """Every address of the machine itself is as good as another."""
    assert serving_faults(Settings(debug=True, host=host)) == []


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://api.honeycomb.io",
        "HTTP://API.honeycomb.io.",
        "http://8.8.8.8:4318",
        "http://134744072:4318",
        "http://0x08080808:4318",
        "http://[2001:4860:4860::8888]:4318",
        "http://[::ffff:8.8.8.8]:4318",
        "http://otlp.example.com/x",
        "http://localhost.example.com",
    ],
)
def test_a_key_does_not_go_over_the_internet_unencrypted(endpoint: str) -> None:
    """The receiver is named, and which keys; none of their values is."""
    settings = Settings(otlp_endpoint=endpoint, otlp_api_key="sesame", otlp_headers="x-team=sesame")
    (fault,) = cleartext_faults(settings)

    rule = "would get OTLP_API_KEY and OTLP_HEADERS unencrypted: give the address with https://"
    assert str(fault) == f"OTLP_ENDPOINT={endpoint!r} {rule}"


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://api.honeycomb.io",
        "http://localhost:4318",
        "http://127.0.0.1:4318",
        "http://10.1.2.3:4318",
        "http://otel-collector:4318",
        "http://otel-collector.observability.svc:4318",
        "http://otel-collector.observability.svc.cluster.local:4318",
        "http://Collector.Corp.Internal:4318",
        "http://otel-collector.observability.svc.cluster.local.:4318",
        "http://localhost.:4318",
        "http://3scale:4318",
        "http://100.64.1.2:4318",
        "http://[fd00::1]:4318",
    ],
)
def test_a_key_may_go_to_the_own_network_and_over_https(endpoint: str) -> None:
    """A collector next door needs no certificate, and a vendor with one gets the key."""
    assert cleartext_faults(Settings(otlp_endpoint=endpoint, otlp_api_key="sesame")) == []


def test_receiver_of_a_standard_variable_is_told_under_the_name_that_was_written() -> None:
    """Whoever set OTEL_EXPORTER_OTLP_ENDPOINT looks for that."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://api.honeycomb.io", "OTLP_API_KEY": "sesame"}
    with pytest.raises(ConfigurationError) as caught:
        load(environ=environ, dotenv=None)

    assert [fault.name for fault in caught.value.faults] == ["OTEL_EXPORTER_OTLP_ENDPOINT"]


def test_without_a_key_there_is_nothing_to_lose() -> None:
    """An open receiver may be anywhere."""
    assert cleartext_faults(Settings(otlp_endpoint="http://otlp.example.com")) == []


def test_loading_reports_them_together_and_each_setting_once() -> None:
    """`serve` refuses all of it before anything is started; one that is served otherwise has its own HOST."""
    environ = {
        "ENVIRONMENT": "production", "DEBUG": "1", "HOST": ANY_ADDRESS, "PORT": "none",
        "OTLP_ENDPOINT": "http://otlp.example.com", "OTLP_API_KEY": "sesame",
    }  # fmt: skip
    with pytest.raises(ConfigurationError) as caught:
        load(environ=environ, dotenv=None, serves=True)

    names = [fault.name for fault in caught.value.faults]
    assert names == ["PORT", "DATABASE_URL", "SENTRY_DSN", "DEBUG", "OTLP_ENDPOINT"]
    open_to_all = {"DEBUG": "1", "HOST": ANY_ADDRESS}
    assert load(environ=open_to_all, dotenv=None).settings.debug
    with pytest.raises(ConfigurationError, match="whole network"):
        load(environ=open_to_all, dotenv=None, serves=True)


def test_a_metrics_folder_from_outside_is_refused_by_serve_alone() -> None:
    """Under gunicorn the folder is what another application needs; `serve` would count what is not its own."""
    environ = {"PROMETHEUS_MULTIPROC_DIR": "/var/run/metrics"}
    with pytest.raises(ConfigurationError) as caught:
        load(environ=environ, dotenv=None, serves=True)

    assert str(caught.value) == (
        "PROMETHEUS_MULTIPROC_DIR='/var/run/metrics' would mix the counts of other processes with those of this one: "
        "leave it out: WORKERS is all that several processes need"
    )
    assert load(environ=environ, dotenv=None).settings == Settings()
