"""The folder that keeps a developer's database and pictures from one start to the next."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from platformdirs import user_data_path

from prethrift_backend.devstack.part import Part
from prethrift_backend.exceptions import DevstackError

_FORMAT = "1"


def default_folder() -> Path:
    """Return the folder under the user's data directory (``XDG_DATA_HOME`` is honoured)."""
    return user_data_path("prethrift-backend", appauthor=False) / "dev"


class DataFolder(Part):
    """A data folder that this process holds alone, from ``start`` to ``stop``.

    The hold is a lock on a file, which the operating system drops with the process: a killed start leaves none behind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def postgres(self) -> Path:
        """The data directory of the embedded PostgreSQL."""
        return self.path / "postgres"

    @property
    def images(self) -> Path:
        """The folder of the local S3's objects."""
        return self.path / "s3"

    def start(self) -> None:
        """Make the folder where it is missing, and hold it.

        Raises:
            DevstackError: the folder cannot be made or written, another process holds it, or it is of another format.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DevstackError(
                f"the data folder {str(self.path)!r} cannot be used ({error.strerror}): "
                "it must be a folder that you can write; name another with --data-dir"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.stop()
            raise DevstackError(
                f"the data folder {str(self.path)!r} is in use by another 'prethrift-backend dev': "
                "stop that one, or name another folder with --data-dir"
            ) from error
        self._check_format()

    def _check_format(self) -> None:
        stamp = self.path / "format"
        if not stamp.exists():
            stamp.write_text(_FORMAT)
        found = stamp.read_text().strip()
        if found != _FORMAT:
            self.stop()
            raise DevstackError(
                f"the data folder {str(self.path)!r} has format {found!r}, this version reads {_FORMAT!r}: "
                "remove the folder to start with a fresh catalogue, or name another with --data-dir"
            )

    def stop(self) -> None:
        """Let go of the folder; a second call does nothing."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
