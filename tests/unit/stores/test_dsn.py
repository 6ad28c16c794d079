"""Database URLs as users write them."""

import pytest

from prethrift_backend.stores._dsn import clean_dsn, names_application, server_attributes


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("postgresql://u:p%40ss@h:5432/d", "postgresql://u:p%40ss@h:5432/d"),
        ("postgres://h/d?sslmode=require", "postgres://h/d?sslmode=require"),
        ("postgresql+asyncpg://h/d", "postgresql://h/d"),
        ("postgresql:///d?host=/tmp/a b", "postgresql:///d?host=/tmp/a%20b"),
        ("postgresql://h/d?connect_timeout=5", "postgresql://h/d"),
        ("postgresql://h/d?sslmode=require&channel_binding=require", "postgresql://h/d?sslmode=require"),
    ],
)
def test_a_url_keeps_what_the_driver_understands(written: str, cleaned: str) -> None:
    """Passwords, sockets and sslmode stay; a driver's name and libpq's own parameters go."""
    assert clean_dsn(written) == cleaned


def test_a_name_in_the_url_is_seen() -> None:
    """Who names the application in the URL keeps that name."""
    assert names_application("postgresql://h/d?application_name=mine")
    assert not names_application("postgresql://h/d")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://u:p%40ss@db.example:6432/shop", ("db.example", 6432, "shop")),
        ("postgresql+asyncpg://u:secret@db.example/shop", ("db.example", 5432, "shop")),
        ("postgresql://u:p@[::1]:5433/shop%20two", ("::1", 5433, "shop two")),
        ("postgresql:///shop?host=/run/postgresql", ("/run/postgresql", None, "shop")),
        ("postgresql://?host=h&port=99&dbname=d", ("h", 99, "d")),
        ("postgresql://u:p@one:1,two:2/shop", (None, None, "shop")),
        ("postgresql://u:p@h:port/shop", (None, None, None)),
    ],
)
def test_the_address_has_no_login(url: str, address: tuple[object, ...]) -> None:
    """Host, port and database are named as OpenTelemetry names them; user and password are not."""
    found = server_attributes(url)

    assert (found.get("server.address"), found.get("server.port"), found.get("db.namespace")) == address
    assert set(found) <= {"server.address", "server.port", "db.namespace"}
