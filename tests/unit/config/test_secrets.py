"""No secret is ever seen: not in a repr, a dump, an error or what stands behind an error."""

import pickle
import traceback
from collections.abc import Callable, Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prethrift_backend.config import LoadedSettings, Settings, describe_settings, load
from prethrift_backend.exceptions import ConfigurationError

# Letters that no text of ours begins with, so that a hit is a leak and not a coincidence.
_words = st.text("abcdefghijkmnopqrstuvwxyz0123456789", min_size=6, max_size=20).map("Qz7".__add__)
# The characters that pull a URL apart, in the middle of a password that was not percent-encoded.
_broken_words = st.tuples(_words, st.sampled_from("/?#[]@: %\\,;=&$\t\n\u2028é"), _words)


def _good(secret: str) -> dict[str, str]:
    return {
        "DATABASE_URL": f"postgresql://shop:{secret}@db:5432/prethrift?sslpassword={secret}",
        "OTLP_API_KEY": secret,
        "SENTRY_DSN": f"https://{secret}@sentry.example/1",
        "HEALTH_TOKEN": secret * 3,
    }


def _templates(secret: str) -> Iterator[dict[str, str]]:
    """Give settings that are mostly wrong, with the secret at every place where people put it."""
    for text in (
        f"postgresql://shop:{secret}@db/prethrift",
        f"postgresql://shop:12/{secret}@db/prethrift",
        f"postgresql://shop:pass@db:{secret}/prethrift",
        f"mysql://shop:{secret}@db/prethrift",
        f"https://db/?key={secret}",
        f"{secret} {secret}",
    ):
        yield dict.fromkeys(("DATABASE_URL", "OTLP_API_KEY", "SENTRY_DSN", "HEALTH_TOKEN"), text)
    for text in (f"http://key:{secret}@db", f"ftp://db/?key={secret}", f"key:{secret}@db"):
        yield dict.fromkeys(("OTLP_ENDPOINT", "JAEGER_ENDPOINT", "AWS_ENDPOINT_URL_S3", "OTEL_SERVICE_NAME"), text)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _seen_of(loaded: LoadedSettings) -> str:
    value = loaded.settings
    return "\n".join(
        [
            repr(loaded),
            str(value),
            value.model_dump_json(),
            repr(value.model_dump()),
            repr(value.model_dump(mode="json")),
            repr(pickle.loads(pickle.dumps(value))),  # noqa: S301  # our own bytes, from the line before
            repr(vars(value)),
            describe_settings(loaded),
        ]
    )


def _seen_of_attempt(environ: Mapping[str, str]) -> str:
    try:
        return _seen_of(load(environ=environ, dotenv=None))
    except ConfigurationError as error:
        seen = [text for link in _chain(error) for text in (repr(link), str(link), repr(vars(link)))]
        return "\n".join([*seen, *traceback.format_exception(error)])


@given(secret=_words)
def test_a_good_secret_is_not_seen(secret: str) -> None:
    """Settings that are in force show no secret in any of their forms."""
    assert secret not in _seen_of(load(environ=_good(secret), dotenv=None))


@settings(max_examples=40)
@given(parts=_broken_words)
def test_a_secret_in_a_faulty_value_is_not_seen(parts: tuple[str, str, str]) -> None:
    """Whatever is wrong with a value, neither half of the secret in it is shown, nor chained to the error."""
    for environ in _templates("".join(parts)):
        seen = _seen_of_attempt(environ)

        assert parts[0] not in seen, environ
        assert parts[2] not in seen, environ


@given(secret=_words)
def test_a_good_secret_beside_a_fault_is_not_seen(secret: str) -> None:
    """A fault in another setting does not bring a secret to light."""
    seen = _seen_of_attempt({**_good(secret), "PORT": "none", "ENVIRONMENT": "production", "DEBUG": "1"})

    assert "PORT" in seen
    assert secret not in seen


@pytest.mark.parametrize(
    "build",
    [
        lambda url: load(environ={"DATABASE_URL": url}, dotenv=None),
        lambda url: Settings(database_url=url),
        lambda url: Settings.model_validate({"database_url": url}),
    ],
    ids=["load", "Settings", "model_validate"],
)
def test_nothing_stands_behind_the_error(build: Callable[[str], object]) -> None:
    """Pydantic's error, which holds the values, is neither cause nor context of ours."""
    with pytest.raises(ConfigurationError) as caught:
        build("mysql://u:hidden@h/d")

    assert list(_chain(caught.value)) == [caught.value]


def test_the_value_itself_can_still_be_had() -> None:
    """The part that needs a secret asks for it by name."""
    loaded = load(environ=_good("Qz7secret"), dotenv=None)

    assert loaded.settings.otlp_api_key is not None
    assert loaded.settings.otlp_api_key.get_secret_value() == "Qz7secret"
