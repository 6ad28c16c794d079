"""The database's revisions, and the code that brings a database up to the newest."""

from prethrift_backend.stores.migrations.runner import (
    MigrationError,
    MigrationResult,
    current_revision,
    head_revision,
    migrate,
)

__all__ = ["MigrationError", "MigrationResult", "current_revision", "head_revision", "migrate"]
