"""The environment of a test: none of the user's own settings reach it."""

from collections.abc import Collection, Iterable, Mapping

# Read by the libraries below us, whatever our own settings are called.
LIBRARY_PREFIXES = ("AWS_", "OTEL_", "SENTRY_", "PROMETHEUS_", "PG")

# What the AWS libraries need to find before they send anything: no real account, and no look at a user's own files.
DUMMY_AWS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}


def leaking_names(names: Iterable[str], setting_names: Collection[str]) -> list[str]:
    """Return those of the environment's `names` that would change what the code under test does."""
    ours = {name.upper() for name in setting_names}
    return sorted(name for name in names if name.upper() in ours or name.startswith(LIBRARY_PREFIXES))
