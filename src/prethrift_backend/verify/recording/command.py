"""``prethrift-backend contracts record URL``: draft contracts from a running service of anyone's."""

from __future__ import annotations

import argparse
import itertools
import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.option_numbers import count, positive
from prethrift_backend.verify.recording.folder import check_folder, write_folder
from prethrift_backend.verify.verdict import INCONCLUSIVE, UNUSABLE

if TYPE_CHECKING:
    from prethrift_backend.verify.commands import Subparsers
    from prethrift_backend.verify.recording.metrics import Draft
    from prethrift_backend.verify.recording.service import Recording, RecordOptions

_DESCRIPTION = (
    "Draft contracts from a running service, to begin with. It is only read: GET, one origin, a bounded number of "
    "requests. A draft says what the service happened to show, not what it should; it is never used as the gate: read "
    "each line marked 'guessed', correct it, and keep the files with the code."
)
_EPILOG = (
    "Exit status: 0 drafted, 2 wrong usage, or a folder that has contracts (nothing is written over), 3 nothing was "
    "seen that could be drafted. Without --token, HEALTH_TOKEN and METRICS_TOKEN of the environment are sent to the "
    "endpoints they are for; no draft has them."
)
# Arbitrary: enough to see every kind of line, and few enough to hold.
_LINES_MAX = 50_000
_LINE_BYTES_MAX = 64 * 1024
_IN_PROCESS = "http://localhost"  # nobody is asked there; applications that admit some hosts admit it
_JOB = re.compile(r"[^\s=]+")
_PATH = re.compile(r"/[!-~]*")


def add_command(subparsers: Subparsers) -> None:
    """Add ``record``."""
    parser = subparsers.add_parser(
        "record",
        help="draft contracts from a running service",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("url", nargs="?", metavar="URL", help="the service, such as http://127.0.0.1:8000")
    target.add_argument("--app", metavar="MODULE:ATTRIBUTE", help="run an application in this process instead")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder without contracts")
    parser.add_argument("--job", type=_job, metavar="NAME", help="the job that Prometheus will have for it")
    parser.add_argument("--scrapes", type=count, default=5, metavar="N", help="default: %(default)s")
    parser.add_argument("--metrics-path", type=_path, metavar="PATH", help="default: the usual ones are tried")
    for name in ("live", "ready", "health"):
        told = "default: the usual ones are tried; '' for none"
        parser.add_argument(f"--{name}-path", metavar="PATH", help=told)
    parser.add_argument("--logs", type=Path, metavar="FILE", help="lines of JSON that it has written: drafts logs.txt")
    parser.add_argument("--token", metavar="TOKEN", help="the bearer token of both health details and metrics")
    parser.add_argument("--max-requests", type=count, default=60, metavar="N", help="default: %(default)s")
    parser.add_argument("--timeout", type=positive, default=5.0, metavar="S", help="for each (default: %(default)g)")
    parser.add_argument("--rate", type=positive, default=10.0, metavar="N", help="per second (default: %(default)g)")
    parser.set_defaults(command=record)


def record(arguments: argparse.Namespace) -> None:
    """Record the service, write the drafts, and say what to look at and what to do next."""
    check_folder(arguments.out)  # before anything is asked
    try:
        # Only this command and verify need httpx, which is an extra.
        from prethrift_backend.verify.live import client as live_client  # noqa: PLC0415 - as the commands of cli do
        from prethrift_backend.verify.recording import service as draft_recording  # noqa: PLC0415 - as the commands of cli do
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("prethrift_backend"):
            raise
        _end(UNUSABLE, f"record needs the module {error.name!r}: pip install 'prethrift-backend[contracts]'")
    try:
        recording = _recording(arguments)
    except live_client.LiveUsageError as error:
        _end(UNUSABLE, str(error))
    except draft_recording.NothingSeenError as error:
        _end(INCONCLUSIVE, f"nothing was drafted: {error}")
    drafts = _drafts(recording, arguments)
    written = write_folder(arguments.out, {name: draft.text for name, draft in drafts.items()})
    _tell(recording, drafts)
    print("\n".join(f"{path}: drafted{_counted(drafts[path.name])}" for path in written))
    print(f"next: read the lines marked 'guessed', then\n  {_verify_line(arguments, recording)}")


def _recording(arguments: argparse.Namespace) -> Recording:
    """Record the service, or an application that is run for it; raises ContractError where that does not start."""
    from prethrift_backend.verify.recording.service import record_service  # noqa: PLC0415 - it loads httpx

    if arguments.app is None:
        return record_service(arguments.url, _options(arguments))
    # They load what an application of this package is made of.
    from prethrift_backend.verify.application import load_application  # noqa: PLC0415
    from prethrift_backend.verify.live.application import running  # noqa: PLC0415

    application = load_application(arguments.app)
    try:
        with running(application.app, application.reference, timeout_seconds=arguments.timeout) as transport:
            return record_service(_IN_PROCESS, _options(arguments), transport=transport)
    finally:
        application.close()


def _options(arguments: argparse.Namespace) -> RecordOptions:
    from prethrift_backend.verify.live.client import LiveLimits  # noqa: PLC0415 - it loads httpx
    from prethrift_backend.verify.live.options import LiveTokens  # noqa: PLC0415 - it loads jsonschema
    from prethrift_backend.verify.recording.service import RecordOptions  # noqa: PLC0415 - it loads httpx

    return RecordOptions(
        limits=LiveLimits(arguments.max_requests, arguments.timeout, arguments.rate),
        tokens=LiveTokens(
            health=arguments.token or os.environ.get("HEALTH_TOKEN", "").strip() or None,
            metrics=arguments.token or os.environ.get("METRICS_TOKEN", "").strip() or None,
        ),
        scrapes=arguments.scrapes,
        metrics_path=arguments.metrics_path,
        health_paths={"live": arguments.live_path, "ready": arguments.ready_path, "health": arguments.health_path},
    )


def _drafts(recording: Recording, arguments: argparse.Namespace) -> dict[str, Draft]:
    from prethrift_backend.verify.recording.metrics import Collection, Draft, draft_metrics  # noqa: PLC0415 - loads httpx
    from prethrift_backend.verify.recording.schema import draft_schema  # noqa: PLC0415 - as the one above

    collection = Collection(arguments.job, recording.metrics_path, recording.size_bytes, recording.seconds)
    drafts = {"metrics.txt": draft_metrics(recording.scrapes, collection)}
    if recording.bodies:
        title = f"Health of {arguments.job or 'the service'}"
        drafts["health.schema.json"] = Draft(draft_schema(recording.bodies, title=title))
    if arguments.logs is not None:
        drafts["logs.txt"] = _logs(arguments.logs)
    return drafts


def _logs(path: Path) -> Draft:
    """Draft from the first lines of a file; raises ContractError where it cannot be read or has none of JSON."""
    from prethrift_backend.verify.recording.logs import draft_logs  # noqa: PLC0415 - it loads orjson

    try:
        with path.open("rb") as file:
            lines = list(itertools.islice(iter(lambda: file.readline(_LINE_BYTES_MAX), b""), _LINES_MAX))
    except OSError as error:
        raise ContractError(f"{path}: {error.strerror}: --logs names a file that can be read; correct it") from error
    draft = draft_logs(lines)
    if draft is None:
        raise ContractError(f"{path}: no line is a JSON object: --logs takes lines of JSON; name another file")
    return draft


def _tell(recording: Recording, drafts: Mapping[str, Draft]) -> None:
    series = max(scrape.series_count for scrape in recording.scrapes)
    print(f"{recording.metrics_path}: {len(recording.scrapes)} scrapes of {series} series")
    print(f"health: {', '.join(recording.health_paths.values()) or 'no endpoint was found'}")
    for warning in (*recording.notes, *(warning for draft in drafts.values() for warning in draft.warnings)):
        print(f"look at {warning}")


def _counted(draft: Draft) -> str:
    return f", {draft.item_count} {draft.unit}" if draft.unit else ""


def _verify_line(arguments: argparse.Namespace, recording: Recording) -> str:
    target = [arguments.url] if arguments.app is None else ["--app", arguments.app]
    words = ["prethrift-backend", "contracts", "verify", *target, "--contracts", str(arguments.out)]
    usual = {"live": "/health/live", "ready": "/health/ready", "health": "/health"}
    for kind, default in usual.items() if recording.bodies else ():
        path = recording.health_paths.get(kind, "")
        words += [f"--{kind}-path", path] if path != default else []
    return shlex.join(words)


def _end(status: int, message: str) -> NoReturn:
    print(f"prethrift-backend: {message}", file=sys.stderr)
    sys.exit(status)


def _job(text: str) -> str:
    if _JOB.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a job: a word without spaces and '='")
    return text


def _path(text: str) -> str:
    if _PATH.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no path: it begins with '/', and is visible ASCII")
    return text
