"""The settings as a value: names, types, defaults, meanings, and the rules that each keeps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from prethrift_backend import __version__
from prethrift_backend.config import _rules
from prethrift_backend.config._faults import faults_of
from prethrift_backend.config._rules import Wording
from prethrift_backend.exceptions import ConfigurationError

REQUIRED_IN_PRODUCTION = ("database_url", "otlp_endpoint", "otlp_api_key", "sentry_dsn")

_Choice = BeforeValidator(_rules.lowered)
_Name = AfterValidator(_rules.name)
_Host = AfterValidator(_rules.host)
_Url = AfterValidator(_rules.web_url)
_Bucket = AfterValidator(_rules.bucket)
_Region = AfterValidator(_rules.region)
_DatabaseUrl = AfterValidator(_rules.veiled(_rules.database_url))
_SentryDsn = AfterValidator(_rules.veiled(_rules.sentry_dsn))
_ApiKey = AfterValidator(_rules.veiled(_rules.api_key))
_Token = AfterValidator(_rules.veiled(_rules.bearer_token))
_Headers = AfterValidator(_rules.veiled(_rules.header_list))
_Hosts = AfterValidator(_rules.host_list)

_Count = Annotated[int, Field(ge=1), Wording("is not a count", "give a whole number, 1 or more")]
_CountOrNone = Annotated[int, Field(ge=0), Wording("is not a count", "give a whole number, 0 or more")]
# Port 0 asks the system for any free port: of use in tests and on a shared machine.
_Port = Annotated[
    int,
    Field(ge=0, le=65535),
    Wording("is not a port", "give a whole number from 1 to 65535, or 0 for any free port"),
]
_Seconds = Annotated[
    float, Field(gt=0, allow_inf_nan=False), Wording("is not a time", "give a number of seconds above 0")
]
_SecondsOrNone = Annotated[
    float, Field(ge=0, allow_inf_nan=False), Wording("is not a time", "give a number of seconds, 0 or more")
]
_Share = Annotated[
    float, Field(ge=0, le=1, allow_inf_nan=False), Wording("is not a share", "give a number from 0 to 1")
]


@dataclass(frozen=True, slots=True)
class ByEnvironment:
    """A default that depends on ENVIRONMENT; pydantic calls it with the fields before it, if all are good."""

    development: object
    staging: object
    production: object

    def items(self) -> list[tuple[str, object]]:
        """Give each environment with its default."""
        return list(asdict(self).items())

    def __call__(self, validated: dict[str, Any]) -> object:
        """Give the default for the environment that is set."""
        return asdict(self)[validated["environment"]]


def package_version() -> str:
    """Give the version of this package, the default of SERVICE_VERSION."""
    return __version__


def _setting(default: object, meaning: str, *, group: str) -> Any:  # as pydantic's Field itself
    extra: dict[str, Any] = {"group": group}
    if callable(default):
        return Field(default_factory=default, description=meaning, json_schema_extra=extra)
    return Field(default=default, description=meaning, json_schema_extra=extra)


_application = partial(_setting, group="application")
_database = partial(_setting, group="database")
_observability = partial(_setting, group="observability")
_aws = partial(_setting, group="AWS")
_models = partial(_setting, group="models")
_health = partial(_setting, group="health")


class Settings(BaseSettings):
    """Everything that can be set, frozen; an attribute is the environment's name in lower case.

    Built directly it reads nothing but its arguments, so a test is not touched by the machine it runs on; use
    ``load_settings`` to read the environment. Raises ConfigurationError with every fault at once. That production
    needs certain settings is a rule for starting, not for the value: see ``combinations``.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False, protected_namespaces=()
    )

    service_name: Annotated[str, _Name] = _application("prethrift-backend", "the name in logs, traces and metrics")
    service_version: Annotated[str, _Name] = _application(package_version, "the version in logs, traces and errors")
    environment: Annotated[Literal["development", "staging", "production"], _Choice] = _application(
        "development", "where it runs; production refuses to start half configured"
    )
    debug: bool = _application(False, "errors with their traceback in the answer; refused in production")
    host: Annotated[str, _Host] = _application("127.0.0.1", "the address to listen on; 0.0.0.0 for all")
    port: _Port = _application(8000, "the port to listen on; 0 for any free one")
    workers: _Count = _application(1, "the number of server processes")

    database_url: Annotated[SecretStr, _DatabaseUrl] | None = _database(
        None, "the PostgreSQL with pgvector: postgresql://user:password@host:5432/database"
    )
    db_pool_size: _Count = _database(10, "the connections kept open in each process")
    db_max_overflow: _CountOrNone = _database(5, "the connections beyond these under load")
    db_pool_timeout_seconds: _Seconds = _database(5.0, "how long a request waits for a connection")

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_rules.raised)] = (
        _observability("INFO", "the lowest level that is written")
    )
    log_format: Annotated[Literal["json", "console"], _Choice] = _observability(
        ByEnvironment("console", "json", "json"), "json for machines, console for people"
    )
    log_file: Path | None = _observability(None, "a file that gets the same JSON lines")
    log_datadog: bool = _observability(False, "Datadog's dd.trace_id and dd.span_id on every line of a request")

    otlp_endpoint: Annotated[str, _Url] | None = _observability(
        None, "the OTLP collector that traces and metrics are sent to"
    )
    otlp_protocol: Annotated[Literal["http", "grpc"], _Choice] = _observability("http", "how it is spoken to")
    otlp_api_key: Annotated[SecretStr, _ApiKey] | None = _observability(
        None, "the collector's key, sent in the header of its vendor"
    )
    otlp_headers: Annotated[SecretStr, _Headers] | None = _observability(
        None, "headers for the collector, over those of its vendor: name=value,name=value, percent-encoded"
    )
    otlp_metrics_interval_seconds: _SecondsOrNone = _observability(
        60.0, "how often metrics are pushed to OTLP_ENDPOINT; 0 for never"
    )
    otlp_metrics_temporality: Annotated[Literal["cumulative", "delta"], _Choice] = _observability(
        "cumulative", "what is pushed: totals, or what was added since the last push (Datadog)"
    )
    jaeger_endpoint: Annotated[str, _Url] | None = _observability(
        None, "a Jaeger collector: Thrift at port 14268 or path /api/traces, else OTLP"
    )
    sentry_dsn: Annotated[SecretStr, _SentryDsn] | None = _observability(
        None, "the Sentry project that errors are sent to"
    )
    sentry_traces: bool = _observability(True, "whether Sentry gets the traces as well")
    sentry_spotlight: Annotated[str, _Url] | None = _observability(
        None, "a Spotlight that gets the errors too, for development: http://localhost:8969/stream"
    )
    trace_sample_rate: _Share = _observability(
        ByEnvironment(1.0, 0.1, 0.1), "the share of requests that is traced, 0 to 1"
    )
    trace_trust: Annotated[Literal["link", "parent", "ignore"], _Choice] = _observability(
        ByEnvironment("parent", "link", "link"), "what a caller's traceparent becomes: our parent, a link, nothing"
    )
    trace_slow_seconds: _SecondsOrNone = _observability(
        1.0, "requests that take longer have their server span although they were not sampled; 0 for none"
    )
    trace_propagate_hosts: Annotated[str, _Hosts] | None = _observability(
        None, "hosts that our traceparent is sent to, separated by commas; .example.com for all below it"
    )
    trace_console: bool = _observability(False, "spans on standard error, for development")
    metrics_token: Annotated[SecretStr, _Token] | None = _observability(
        None, "the bearer token that /metrics asks for; 16 characters or more"
    )

    aws_region: Annotated[str, _Region] = _aws("eu-central-1", "the region of the bucket")
    images_bucket: Annotated[str, _Bucket] = _aws("prethrift-images", "the bucket of the pictures")
    aws_endpoint_url_s3: Annotated[str, _Url] | None = _aws(None, "another S3 than Amazon's")

    clip_model: Annotated[str, _Name] = _models("clip-ViT-B-32", "hub name or folder of the model of pictures")
    text_model: Annotated[str, _Name] = _models("all-MiniLM-L6-v2", "hub name or folder of the model of texts")
    embedding_batch_size: _Count = _models(32, "the most inputs that the model gets at once")
    embedding_queue_size: _Count = _models(256, "the most inputs that may wait; beyond it the answer is 503")

    health_details: Annotated[Literal["always", "authorized", "never"], _Choice] = _health(
        ByEnvironment("always", "authorized", "authorized"), "who sees the details of health checks"
    )
    health_token: Annotated[SecretStr, _Token] | None = _health(
        None, "the bearer token that authorizes; 16 characters or more"
    )
    drain_seconds: _SecondsOrNone = _health(
        ByEnvironment(0.0, 10.0, 10.0), "how long requests go on after SIGTERM while readiness answers 503"
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            faults = faults_of(error, type(self).model_fields, values)
        else:
            return
        # Raised out here and not "from" anything: pydantic's error holds the values, secrets among them.
        raise ConfigurationError(faults)

    def __setattr__(self, name: str, value: object) -> None:
        # Pydantic refuses as well, but quotes the value, which may be a secret.
        if name in type(self).model_fields:
            raise AttributeError(f"{name} cannot be changed: settings are frozen; build others")
        super().__setattr__(name, value)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the signature is pydantic's, here and below
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keep only the arguments: ``loading`` reads the rest, and can say of each value where it was."""
        return (init_settings,)
