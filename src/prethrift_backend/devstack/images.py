"""Start and stop the local S3 as a process of its own."""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path

from prethrift_backend.devstack.part import Part
from prethrift_backend.exceptions import DevstackError

_START_SECONDS = 30.0  # arbitrary; restoring 600 pictures takes a few seconds at most
_STOP_SECONDS = 5.0


class LocalS3(Part):
    """The local S3 on a free port of loopback, its objects in ``folder``; started on entry, stopped on exit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def endpoint_url(self) -> str:
        """The address in the form of AWS_ENDPOINT_URL_S3."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the process and wait until it serves.

        Raises:
            DevstackError: it ended or said nothing in time.
        """
        command = [sys.executable, "-m", "prethrift_backend.devstack.local_s3", "--folder", str(self._folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own
        self._port = self._wait_for_port(self._process)

    def _wait_for_port(self, process: subprocess.Popen[bytes]) -> int:
        assert process.stdout is not None  # noqa: S101 - asked for above; for the type checker
        readable, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
        words = process.stdout.readline().split() if readable else []
        if len(words) != 2 or words[0] != b"ready":
            self.stop()
            raise DevstackError(
                f"the local S3 does not start on {str(self._folder)!r}: its output is above; "
                "if its files are damaged, remove the folder"
            )
        return int(words[1])

    def stop(self) -> None:
        """Stop the process; a second call does nothing."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
