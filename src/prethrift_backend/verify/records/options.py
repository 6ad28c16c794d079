"""Where a run of ``verify`` finds what the service says of itself: a log, a command that shows it, its spans."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from prethrift_backend.exceptions import ContractError

Trust: TypeAlias = Literal["any", "parent", "link", "ignore"]

LOOPBACK: Final = "127.0.0.1"
# What follows a log prints it at once; a collector of logs in between takes some seconds. Arbitrary.
_LINES_SECONDS: Final = 10.0
# Exporters collect for 5 seconds as a rule, and one whose receiver was not there pauses for up to 30.
_SPANS_SECONDS: Final = 35.0


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """Where records come from, how long they are waited for, and what becomes of a caller's trace.

    Without ``timeout_seconds`` it is as long as such sources take.
    """

    log_file: Path | None = None
    log_command: str | None = None
    tap: tuple[str, int] | None = None
    timeout_seconds: float | None = None
    trust: Trust = "any"

    @property
    def wait_seconds(self) -> float:
        """How long records are waited for that have not come yet."""
        if self.timeout_seconds is not None:
            return self.timeout_seconds
        return _LINES_SECONDS if self.tap is None else _SPANS_SECONDS

    @property
    def gives_lines(self) -> bool:
        """Whether lines of a log are to be read."""
        return self.log_file is not None or self.log_command is not None

    @property
    def gives_spans(self) -> bool:
        """Whether spans are to be received."""
        return self.tap is not None


def add_record_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--logs``, ``--logs-command``, ``--otlp-tap``, ``--records-timeout`` and ``--trace-trust``."""
    group = parser.add_argument_group("what it says of its requests")
    logs = group.add_mutually_exclusive_group()
    logs.add_argument("--logs", type=Path, metavar="FILE", help="the file that the service logs to")
    logs.add_argument(
        "--logs-command",
        metavar="COMMAND",
        help="a command that prints the log, once or for as long as it runs, such as 'kubectl logs -f deploy/shop'; "
        "without a shell",
    )
    group.add_argument(
        "--otlp-tap",
        metavar="[HOST:]PORT",
        help="receive spans there while the run goes on (OTLP over HTTP; HOST is 127.0.0.1): let the service export "
        "to it",
    )
    group.add_argument(
        "--records-timeout",
        type=float,
        metavar="S",
        help=f"wait so long for what does not come (default: {_LINES_SECONDS:g}, with --otlp-tap {_SPANS_SECONDS:g})",
    )
    group.add_argument(
        "--trace-trust",
        choices=get_args(Trust),
        default="any",
        help="what the trace of a caller becomes: the service's own (parent), a link of it, nothing; any takes both "
        "parent and link (default: %(default)s)",
    )


def record_options(arguments: argparse.Namespace) -> RecordOptions:
    """Return what the options of `add_record_options` say.

    Raises ContractError for one that cannot be meant.
    """
    seconds = arguments.records_timeout
    if seconds is not None and not 0 <= seconds <= 600:
        raise ContractError(f"--records-timeout {seconds:g}: it is a number of seconds from 0 to 600; give one")
    tap = None if arguments.otlp_tap is None else _address(arguments.otlp_tap)
    return RecordOptions(arguments.logs, arguments.logs_command, tap, seconds, arguments.trace_trust)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if port.isdecimal() and 0 < int(port) < 65536 and bool(host) == bool(colon):
        return host.strip("[]") or LOOPBACK, int(port)
    raise ContractError(f"--otlp-tap {text!r}: it is a port, or a host and a port; give one such as 4318")
