"""What makes a value good, one function a rule: each returns the value or raises ``broken``.

A rule's two texts finish the sentence that begins with the setting's name and value: what the value is not, and what to
give instead. They never contain the value, which may be a secret.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

BROKEN = "broken_rule"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_BUCKET_RESERVED = re.compile(r"xn--.*|sthree-.*|amzn-s3-demo-.*|.*-s3alias|.*--ol-s3|.*--x-s3|.*--table-s3")
_DOTTED_QUAD = re.compile(r"\d+\.\d+\.\d+\.\d+")
_REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ZONE = re.compile(r"[a-z]{2}(-[a-z]+)+-\d[a-z]")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_HEADER_WORD = re.compile(r"[!-~]+")  # visible ASCII: what travels in an HTTP header unharmed
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_TOKEN_LENGTH_MIN = 16  # arbitrary; 16 random characters are out of reach of guessing over HTTP


@dataclass(frozen=True, slots=True)
class Wording:
    """The texts for a value that pydantic's own bounds refuse; it sits beside them in ``Annotated``."""

    rule: str
    fix: str


def broken(rule: str, fix: str) -> PydanticCustomError:
    """Make the error that carries our texts through pydantic."""
    return PydanticCustomError(BROKEN, "a rule is broken", {"rule": rule, "fix": fix})


def lowered(value: object) -> object:
    """Lower the case of a word, so that a choice may be written in any."""
    return value.lower() if isinstance(value, str) else value


def raised(value: object) -> object:
    """Raise the case of a word, so that a log level may be written in any."""
    return value.upper() if isinstance(value, str) else value


def veiled(rule: Callable[[str], str]) -> Callable[[SecretStr], SecretStr]:
    """Apply a rule on text to a secret, which stays as it is."""

    def check(secret: SecretStr) -> SecretStr:
        rule(secret.get_secret_value())
        return secret

    return check


def name(value: str) -> str:
    """Accept text that has something to see in it and no line break."""
    if not value.strip() or not value.isprintable():
        raise broken("is not a name", "give printable text on one line")
    return value


def host(value: str) -> str:
    """Accept an address or host name to listen on, without scheme and port."""
    if not _HOST_NAME.fullmatch(value) and not _is_address(value):
        raise broken("is not a host", "give an address or a name alone, as in 127.0.0.1; the port has its own setting")
    return value


def web_url(value: str) -> str:
    """Accept an http or https URL with a host and without a user."""
    parts = _split(value)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise broken("is not a web address", "give a URL that begins with http:// or https:// and names a host")
    if "@" in parts.netloc:
        raise broken("holds a user or a password", "leave out what stands before the @; a key has its own setting")
    return value


def database_url(value: str) -> str:
    """Accept a PostgreSQL URL that names a database."""
    scheme, separator, _ = value.partition("://")
    if not separator or scheme not in {"postgresql", "postgres"}:
        raise broken("is not a PostgreSQL URL", _scheme_fix(scheme if separator else ""))
    parts = _split(value)
    # An @ behind the host means that a / or ? of the password has ended the host too early.
    if parts is None or parts.fragment or "@" in parts.path + parts.query:
        raise broken("cannot be taken apart", "write @ : / ? # [ ] in user and password as %40 %3A %2F %3F %23 %5B %5D")
    if not (parts.path.strip("/") or parse_qs(parts.query).get("dbname")):
        raise broken("names no database", "end it with one, as in postgresql://user:password@host:5432/prethrift")
    return value


def _scheme_fix(scheme: str) -> str:
    if scheme.startswith(("postgresql+", "postgres+")):
        return "write postgresql:// without the driver's name"
    return "give postgresql://user:password@host:5432/database"


def sentry_dsn(value: str) -> str:
    """Accept a Sentry DSN: scheme, public key, host, project."""
    parts = _split(value)
    complete = parts is not None and parts.scheme in {"http", "https"} and parts.username and parts.hostname
    if parts is None or not complete or not parts.path.rpartition("/")[2].isdigit():
        raise broken("is not a Sentry DSN", "copy it from the project's Client Keys, as in https://key@host/1")
    return value


def bucket(value: str) -> str:
    """Accept a name that S3 allows for a general purpose bucket (AWS S3 User Guide, "Bucket naming rules")."""
    if not _BUCKET.fullmatch(value) or ".." in value:
        fix = "give 3 to 63 of a-z 0-9 . and -, beginning and ending with a letter or digit, without two dots in a row"
        raise broken("is not a bucket name", fix)
    if _DOTTED_QUAD.fullmatch(value) or _BUCKET_RESERVED.fullmatch(value):
        raise broken("is a bucket name that S3 keeps for itself", "give a name that is no IP address or S3 alias")
    return value


def region(value: str) -> str:
    """Accept an AWS region, or the word that another S3 wants in its place (auto, local)."""
    if _ZONE.fullmatch(value):
        raise broken("is an availability zone", "give the region: the same without the last letter")
    if not _REGION.fullmatch(value):
        raise broken("is not a region", "give its code, as in eu-central-1")
    return value


def api_key(value: str) -> str:
    """Accept what can travel in an HTTP header."""
    if not _HEADER_WORD.fullmatch(value):
        raise broken("cannot be sent in a header", "give the key alone: visible ASCII without spaces")
    return value


def bearer_token(value: str) -> str:
    """Accept a bearer token that is long enough not to be guessed."""
    if len(value) < _TOKEN_LENGTH_MIN:
        raise broken("is too short to keep a secret", f"give {_TOKEN_LENGTH_MIN} characters or more")
    return api_key(value)


def header_list(value: str) -> str:
    """Accept ``name=value,name=value`` with percent-encoded values, as OTEL_EXPORTER_OTLP_HEADERS has them."""
    for pair in value.split(","):
        key, separator, text = pair.strip().partition("=")
        if not separator or not _HEADER_NAME.fullmatch(key) or not _is_header_text(unquote(text)):
            raise broken(
                "is not a list of headers", "give name=value,name=value; write , ; = and spaces in a value as %2C %3B"
            )
    return value


def host_list(value: str) -> str:
    """Accept host names separated by commas, each perhaps with a dot before it."""
    for part in filter(None, value.split(",")):
        host(part.strip().removeprefix("."))
    return value


def _is_header_text(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _split(value: str) -> SplitResult | None:
    """Take a URL apart; None where it cannot be, or holds a character that no URL holds, or a bad port."""
    if re.search(r"[\s\x00-\x1f\x7f]", value):
        return None
    try:
        parts = urlsplit(value)
        _ = "," in parts.netloc or parts.port  # libpq takes several hosts, which urlsplit's port does not know
    except ValueError:
        return None
    return parts
