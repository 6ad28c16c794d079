"""Database URLs as users write them."""

import pytest

from prethrift_backend.stores._dsn import clean_dsn, names_application


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
