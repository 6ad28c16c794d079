"""Reading the settings: the order of the sources, where each value came from, and the faults of all sources at once."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from prethrift_backend.config import LoadedSettings, Settings, load, load_settings
from prethrift_backend.exceptions import ConfigurationError

PRODUCTION = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "postgresql://shop:pass@db/prethrift",
    "OTLP_ENDPOINT": "https://collector.example",
    "OTLP_API_KEY": "key",
    "SENTRY_DSN": "https://key@sentry.example/1",
}


@pytest.fixture
def dotenv(tmp_path: Path) -> Path:
    """Give the place of a .env file that does not exist yet."""
    return tmp_path / ".env"


def _load(environ: Mapping[str, str], dotenv: Path | None = None, **overrides: object) -> LoadedSettings:
    return load(environ=environ, dotenv=dotenv, overrides=overrides)


def _texts(environ: Mapping[str, str], dotenv: Path | None = None, **overrides: object) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        _load(environ, dotenv, **overrides)
    return [str(fault) for fault in caught.value.faults]


def test_nothing_set_is_the_defaults() -> None:
    """With no source every value is a default, and says so."""
    loaded = _load({})

    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.origins.keys() == {name.upper() for name in Settings.model_fields}
    assert loaded.warnings == ()


def test_the_process_environment_is_read_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an environ argument the process's own environment counts."""
    monkeypatch.setenv("PORT", "8123")

    assert load_settings(dotenv=None).port == 8123
    assert load_settings(environ={}, dotenv=None).port == 8000


def test_the_first_source_wins(dotenv: Path) -> None:
    """The command line wins over the environment, this over .env, this over OTEL_*, this over the default."""
    dotenv.write_text("SERVICE_NAME=file\nHOST=file\nPORT=2\n")
    environ = {"OTEL_SERVICE_NAME": "otel", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel", "HOST": "env", "PORT": "3"}

    loaded = _load(environ, dotenv, port=4)

    got = loaded.settings
    assert (got.otlp_endpoint, got.service_name, got.host, got.port) == ("http://otel", "file", "env", 4)
    origins = [loaded.origins[name] for name in ("OTLP_ENDPOINT", "SERVICE_NAME", "HOST", "PORT", "WORKERS")]
    assert origins == ["OTEL_EXPORTER_OTLP_ENDPOINT", ".env", "environment", "command line", "default"]


def test_an_empty_value_is_unset(dotenv: Path) -> None:
    """An empty or blank value in one source lets the next one speak."""
    dotenv.write_text("HOST=file\nPORT=\n")

    loaded = _load({"HOST": "  ", "PORT": "", "OTEL_SERVICE_NAME": ""}, dotenv)

    assert (loaded.settings.host, loaded.origins["HOST"]) == ("file", ".env")
    assert loaded.origins["PORT"] == loaded.origins["SERVICE_NAME"] == "default"


def test_white_space_around_a_value_is_dropped() -> None:
    """A token that was made with echo, line break and all, works."""
    token = _load({"HEALTH_TOKEN": "0123456789abcdef\n"}).settings.health_token

    assert token is not None
    assert token.get_secret_value() == "0123456789abcdef"


def test_an_override_that_is_none_was_not_given() -> None:
    """An option of the command line that nobody used does not hide the environment."""
    assert _load({"PORT": "3"}, port=None).settings.port == 3


def test_an_override_of_no_setting_is_a_mistake_of_the_caller() -> None:
    """A wrong name among the overrides is a programming error, not a fault of the user's."""
    with pytest.raises(TypeError, match=r"overrides=\['prot'\] are not settings"):
        _load({}, prot=3)


# .env


def test_a_missing_file_is_empty(dotenv: Path) -> None:
    """Nobody needs a .env file."""
    assert _load({}, dotenv).settings == Settings()


def test_the_file_may_be_written_as_people_write_it(dotenv: Path) -> None:
    """Comments, quotes, export, a byte order mark, Windows line ends and dollar signs are understood."""
    dotenv.write_bytes(
        b"\xef\xbb\xbf# ours\r\nexport PORT=9000 # here\r\n\r\nSERVICE_NAME='a # b'\r\n"
        b"OTLP_API_KEY=${HOME}$x\r\nUNRELATED=1\r\nOTEL_TRACES_SAMPLER=always_off\r\n"
    )

    settings = _load({}, dotenv).settings

    assert (settings.port, settings.service_name, settings.trace_sample_rate) == (9000, "a # b", 0.0)
    assert settings.otlp_api_key is not None
    assert settings.otlp_api_key.get_secret_value() == "${HOME}$x"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"PORT=1\n\n\nHEALTH_TOKEN 'hidden'\n", "line 4 cannot be understood: write NAME=value"),
        (b"PORT=1\nHEALTH_TOKEN='hidden\n", "line 2 cannot be understood: write NAME=value"),
        (b"PORT=1\nhidden\n", "line 2 cannot be understood: write NAME=value"),
        (b"PORT=1\nHOST=h\nHEALTH_TOKEN=hidden\xff\n", "line 3 is not UTF-8: save the file as UTF-8"),
    ],
)
def test_a_broken_line_is_told_by_its_number(dotenv: Path, content: bytes, text: str) -> None:
    """A fault of the file names file and line, and quotes nothing of it."""
    dotenv.write_bytes(content)

    (fault,) = _texts({}, dotenv)

    assert fault.startswith(f"{dotenv} {text}")
    assert "hidden" not in fault


def test_a_folder_in_the_place_of_the_file_is_told(dotenv: Path) -> None:
    """A file that cannot be read is a fault like any other."""
    dotenv.mkdir()

    assert _texts({}, dotenv) == [f"{dotenv} cannot be read (is a directory): make it a readable file"]


def test_a_broken_file_does_not_hide_the_other_faults(dotenv: Path) -> None:
    """The faults of the file, of the values and of production come together."""
    dotenv.write_text("nonsense\nWORKERS=0\n")

    texts = _texts({**PRODUCTION, "SENTRY_DSN": "", "PORT": "x", "OTEL_TRACES_SAMPLER": "dice"}, dotenv)

    starts = [text.partition(": ")[0] for text in texts]
    assert starts == [
        f"{dotenv} line 1 cannot be understood",
        "OTEL_TRACES_SAMPLER='dice' is not a sampler that we have",
        "PORT='x' is not a port",
        "WORKERS='0' is not a count",
        "SENTRY_DSN is not set",
    ]


# OTEL_*


@pytest.mark.parametrize(
    ("environ", "name", "value", "origin"),
    [
        ({"OTEL_SERVICE_NAME": "a"}, "service_name", "a", "OTEL_SERVICE_NAME"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a%2Cb"}, "service_name", "a,b", "OTEL_RESOURCE_ATTRIBUTES"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "x=y, service.version = 2 "}, "service_version", "2", "OTEL_RESOURCE_ATTRIBUTES"),
        (
            {"OTEL_SERVICE_NAME": "a", "OTEL_RESOURCE_ATTRIBUTES": "service.name=b"},
            "service_name",
            "a",
            "OTEL_SERVICE_NAME",
        ),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=staging"},
            "environment",
            "staging",
            "OTEL_RESOURCE_ATTRIBUTES",
        ),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=staging,deployment.environment=old"},
            "environment",
            "staging",
            "OTEL_RESOURCE_ATTRIBUTES",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"},
            "otlp_endpoint",
            "http://c:4318",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, "trace_sample_rate", 1.0, "OTEL_TRACES_SAMPLER"),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, "trace_sample_rate", 0.0, "OTEL_TRACES_SAMPLER"),
        ({"OTEL_TRACES_SAMPLER": "TraceIdRatio"}, "trace_sample_rate", 1.0, "OTEL_TRACES_SAMPLER"),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"},
            "trace_sample_rate",
            0.25,
            "OTEL_TRACES_SAMPLER_ARG",
        ),
        ({"OTEL_TRACES_SAMPLER_ARG": "0.25"}, "trace_sample_rate", 1.0, "default"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "otlp_protocol", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "otlp_protocol", "http", "OTEL_EXPORTER_OTLP_PROTOCOL"),
        (
            {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "Delta"},
            "otlp_metrics_temporality",
            "delta",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        ),
        (
            {"OTEL_METRIC_EXPORT_INTERVAL": "1500"},
            "otlp_metrics_interval_seconds",
            1.5,
            "OTEL_METRIC_EXPORT_INTERVAL",
        ),
        ({"OTEL_LOG_LEVEL": "debug"}, "log_level", "INFO", "default"),
    ],
)
def test_the_standard_variables_are_honoured(environ: dict[str, str], name: str, value: object, origin: str) -> None:
    """Each OTEL_* variable sets what it means where ours is not set, and is named as the origin."""
    loaded = _load(environ)

    assert (getattr(loaded.settings, name), loaded.origins[name.upper()]) == (value, origin)


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        (
            {"OTEL_TRACES_SAMPLER": "jaeger_remote"},
            "OTEL_TRACES_SAMPLER='jaeger_remote' is not a sampler that we have: give always_on, ",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"},
            "OTEL_TRACES_SAMPLER_ARG='2' is not a share: ",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT='c:4318' is not a web address: "),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b,nonsense"}, "OTEL_RESOURCE_ATTRIBUTES is not a list of key=value: "),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_PROTOCOL='http/json' is not one that we have: give grpc or http/protobuf",
        ),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "1m"}, "OTEL_METRIC_EXPORT_INTERVAL='1m' is not a time: "),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "key"}, "OTEL_EXPORTER_OTLP_HEADERS='********' is not a list of headers: "),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=prod"},
            "OTEL_RESOURCE_ATTRIBUTES='prod' is not one of its choices: did you mean production? ",
        ),
    ],
)
def test_a_bad_standard_variable_is_told_by_its_own_name(environ: dict[str, str], text: str) -> None:
    """The fault names the variable that the user wrote."""
    (fault,) = _texts(environ)

    assert fault.startswith(text)


def test_a_standard_variable_that_is_not_needed_is_not_judged() -> None:
    """Where our setting is set, the standard variable may hold anything."""
    environ = {
        "TRACE_SAMPLE_RATE": "0.5",
        "OTEL_TRACES_SAMPLER": "jaeger_remote",
        "OTLP_ENDPOINT": "http://c",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "c",
        "ENVIRONMENT": "staging",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=prod",
    }

    assert _load(environ).settings.trace_sample_rate == 0.5


# production


def test_production_starts_when_its_four_settings_are_set() -> None:
    """The complete production environment has no fault."""
    assert _load(PRODUCTION).settings.environment == "production"


@pytest.mark.parametrize("name", ["DATABASE_URL", "OTLP_ENDPOINT", "OTLP_API_KEY", "SENTRY_DSN"])
def test_production_refuses_to_start_without(name: str) -> None:
    """Each of the four is needed, and the fault names it."""
    environ = {key: value for key, value in PRODUCTION.items() if key != name}

    assert _texts(environ) == [f"{name} is not set: production does not start without it"]


def test_another_application_names_what_its_production_needs() -> None:
    """One without a database is not asked for one, and is still asked for what it has named."""
    environ = {"ENVIRONMENT": "production"}

    with pytest.raises(ConfigurationError) as caught:
        load(environ=environ, dotenv=None, required=["sentry_dsn"])
    assert [fault.name for fault in caught.value.faults] == ["SENTRY_DSN"]
    assert load(environ=environ, dotenv=None, required=()).settings.environment == "production"


def test_what_production_needs_is_a_setting() -> None:
    """A misspelt name is the programmer's mistake, found in every environment."""
    with pytest.raises(TypeError, match=r"required=\['sentry'\] are not settings"):
        load(environ={}, dotenv=None, required=["sentry"])


def test_production_refuses_debug() -> None:
    """Tracebacks are not for the callers of production."""
    (fault,) = _texts(PRODUCTION, debug=True)

    assert fault.startswith("DEBUG='true' shows tracebacks")


def test_a_faulty_required_setting_is_told_once() -> None:
    """A required setting that is there but wrong is not also said to be missing."""
    (fault,) = _texts({**PRODUCTION, "SENTRY_DSN": "nonsense"})

    assert fault.startswith("SENTRY_DSN='********' is not a Sentry DSN")


def test_production_by_a_standard_variable_is_production() -> None:
    """The rule of production holds wherever the environment's name was written."""
    texts = _texts({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=production"})

    assert len(texts) == 4


# misspelt names


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DATABSE_URL", "DATABASE_URL"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("OTLP_ENDPIONT", "OTLP_ENDPOINT"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("log_level", "LOG_LEVEL"),
        ("PROT", "PORT"),
        ("PRETHRIFT_WORKERS", "WORKERS"),
    ],
)
def test_a_misspelt_name_is_warned_of(name: str, meant: str) -> None:
    """A name that is nearly ours gets a warning with the name that was meant, and without the value."""
    (warning,) = _load({name: "hidden"}).warnings

    assert warning == f"{name} (environment) is not a setting and has no effect: did you mean {meant}?"


def test_a_misspelt_name_in_the_file_is_warned_of(dotenv: Path) -> None:
    """The warning says that the name stands in the file."""
    dotenv.write_text("TRACE_SAMPLERATE=0.5\n")

    assert _load({}, dotenv).warnings == (
        "TRACE_SAMPLERATE (.env) is not a setting and has no effect: did you mean TRACE_SAMPLE_RATE?",
    )


def test_names_of_other_programs_are_left_alone() -> None:
    """What a usual machine or cluster sets is nobody's mistake."""
    names = [
        *("HOME", "PATH", "HOSTNAME", "LANG", "LOGNAME", "SHELL", "TERM", "USER", "PWD", "TZ", "DISPLAY", "LOG_DIR"),
        *("AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ROLE_ARN", "PGPORT"),
        *("OTEL_SERVICE_NAME", "SENTRY_RELEASE", "SENTRY_ENVIRONMENT", "DD_SERVICE", "KUBERNETES_SERVICE_HOST"),
    ]
    # Kubernetes sets this one for a service of that name.
    cluster = {"PRETHRIFT_PORT": "tcp://10.0.0.1:80"}

    assert _load(dict.fromkeys(names, "x") | cluster).warnings == ()


def test_a_near_name_beside_the_right_one_is_left_alone() -> None:
    """Where the setting itself is set, a similar name is most likely another program's."""
    assert _load({"HOST": "h", "HOSTS": "x"}).warnings == ()
