"""A database URL as users write it, made fit for asyncpg.

asyncpg reads libpq's URLs but sends every parameter that it does not know to the server as a setting, and the server
refuses the connection. Hosted databases hand out URLs with such parameters, so they are taken out here.
"""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

# Parameters of libpq that concern the client alone and that asyncpg neither knows nor needs. `channel_binding` is
# among them because providers put `channel_binding=require` in every URL; asyncpg cannot bind channels, so a user who
# needs the server's identity proved asks for it with sslmode=verify-full, which stays.
_CLIENT_ONLY = frozenset(
    {
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "fallback_application_name",
        "gssencmode",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "sslcompression",
        "sslsni",
        "tcp_user_timeout",
    }
)


def clean_dsn(database_url: str) -> str:
    """Return ``database_url`` without a driver name in its scheme and without what only libpq understands."""
    base, _, query = database_url.partition("?")
    scheme, separator, rest = base.partition("://")
    base = scheme.partition("+")[0] + separator + rest
    kept = [(name, value) for name, value in _parameters(query) if name not in _CLIENT_ONLY]
    return f"{base}?{urlencode(kept, quote_via=quote, safe='/')}" if kept else base


def names_application(database_url: str) -> bool:
    """Tell whether the URL already says what the server should call the client."""
    return any(name == "application_name" for name, _ in _parameters(database_url.partition("?")[2]))


def server_attributes(database_url: str) -> dict[str, str | int]:
    """Return the address and the database of a URL by OpenTelemetry's names, without user and password.

    What the URL does not say is left out; so are the addresses of a URL that names several.
    """
    try:
        split = urlsplit(clean_dsn(database_url))
        found = _address(split) | _database(split)
    except ValueError:  # a URL that cannot be read is for the driver to complain about
        return {}
    return found


def _address(split: SplitResult) -> dict[str, str | int]:
    given = dict(_parameters(split.query))
    host = split.netloc.rpartition("@")[2] or given.get("host", "")
    if not host or "," in host:
        return {}
    if host.startswith("/"):  # the folder of a unix socket
        return {"server.address": host}
    return {"server.address": split.hostname or host, "server.port": split.port or int(given.get("port", "5432"))}


def _database(split: SplitResult) -> dict[str, str | int]:
    given = dict(_parameters(split.query))
    name = unquote(split.path.lstrip("/")) or given.get("dbname") or given.get("database")
    return {"db.namespace": name} if name else {}


def _parameters(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=False)
