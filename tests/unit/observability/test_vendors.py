"""Which header a collector's key travels in."""

import pytest

from prethrift_backend.config import Settings
from prethrift_backend.observability.vendors import key_header, otlp_headers, parse_headers


@pytest.mark.parametrize(
    ("endpoint", "key", "header"),
    [
        ("https://api.honeycomb.io", "hcaik_0123", ("x-honeycomb-team", "hcaik_0123")),
        ("https://api.eu1.honeycomb.io:443/v1/traces", "hcaik_0123", ("x-honeycomb-team", "hcaik_0123")),
        ("https://API.Honeycomb.IO", "hcaik_0123", ("x-honeycomb-team", "hcaik_0123")),
        ("https://api.honeycomb.io.", "hcaik_0123", ("x-honeycomb-team", "hcaik_0123")),
        ("https://refinery.api.honeycomb.io", "hcaik_0123", ("x-honeycomb-team", "hcaik_0123")),
        (
            "https://otlp-gateway-prod-eu-west-0.grafana.net/otlp",
            "12345:glc_token",
            ("authorization", "Basic MTIzNDU6Z2xjX3Rva2Vu"),
        ),
        (
            "https://otlp-gateway-prod-eu-west-0.grafana.net/otlp",
            "Basic%20MTIzNDU6Z2xjX3Rva2Vu%3D",
            ("authorization", "Basic MTIzNDU6Z2xjX3Rva2Vu="),
        ),
        ("https://tempo.grafana.net", "Bearer%20glc_token", ("authorization", "Bearer glc_token")),
        ("https://tempo.grafana.net", "glc_token", ("authorization", "Bearer glc_token")),
        ("https://otlp.datadoghq.com", "abc123", ("dd-api-key", "abc123")),
        ("https://otlp.us3.datadoghq.com", "abc123", ("dd-api-key", "abc123")),
        ("https://otlp.us5.datadoghq.com", "abc123", ("dd-api-key", "abc123")),
        ("https://otlp.ap1.datadoghq.com", "abc123", ("dd-api-key", "abc123")),
        ("https://otlp.datadoghq.eu/v1/traces", "abc123", ("dd-api-key", "abc123")),
        ("https://o1.ingest.sentry.io/api/2/integration/otlp", "abc", ("x-sentry-auth", "Sentry sentry_key=abc")),
        ("https://collector.example.com:4318", "abc123", ("authorization", "Bearer abc123")),
        ("http://127.0.0.1:4318", "abc123", ("authorization", "Bearer abc123")),
    ],
)
def test_the_host_names_the_vendor(endpoint: str, key: str, header: tuple[str, str]) -> None:
    """Each vendor gets its key in the header that it documents; everybody else as a bearer token."""
    assert key_header(endpoint, key) == header


@pytest.mark.parametrize(
    "host",
    [
        "evil-honeycomb.io",
        "api.honeycomb.io.example.com",
        "evil-api.honeycomb.io.example.com",
        "evil-honeycomb.io.example.com",
        "xapi.honeycomb.io",
        "grafana.net.example.com",
        "evilgrafana.net",
        "notdatadoghq.com",
        "datadoghq.com.example.com",
        "sentry.io.example.com",
        "example.com/api.honeycomb.io",
    ],
)
def test_a_name_that_only_looks_like_a_vendor_is_none(host: str) -> None:
    """A vendor is matched by whole labels from the right, never by a part of the text."""
    assert key_header(f"https://{host}", "abc123") == ("authorization", "Bearer abc123")


def test_headers_of_the_settings_have_the_last_word() -> None:
    """OTLP_HEADERS is laid over the vendor's header, whatever the case of its names, and is percent-decoded."""
    settings = Settings.model_validate(
        {
            "otlp_endpoint": "https://api.honeycomb.io",
            "otlp_api_key": "hcaik_0123",
            "otlp_headers": "X-Honeycomb-Team=other,x-honeycomb-dataset=my%20data%2Cset",
        }
    )

    assert otlp_headers(settings) == {"x-honeycomb-team": "other", "x-honeycomb-dataset": "my data,set"}


def test_without_a_key_there_is_no_header() -> None:
    """A collector that asks for nothing gets nothing."""
    assert otlp_headers(Settings(otlp_endpoint="http://127.0.0.1:4318")) == {}


def test_without_an_endpoint_a_key_goes_nowhere() -> None:
    """A key belongs to the host that it was set for."""
    assert otlp_headers(Settings.model_validate({"otlp_api_key": "abc123", "otlp_headers": "a=b"})) == {}


def test_a_value_may_hold_an_equals_sign() -> None:
    """Only the first = parts name and value, as base64 padding needs."""
    assert parse_headers("authorization=Basic%20YTpi==, x-scope = team ") == {
        "authorization": "Basic YTpi==",
        "x-scope": "team",
    }
