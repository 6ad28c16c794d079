"""``prethrift-backend contracts verify URL``: hold a running service against its contracts."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from prethrift_backend.contracts import find_contracts
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify._text import visible
from prethrift_backend.verify.command_line import conclude
from prethrift_backend.verify.exceptions import load_exceptions
from prethrift_backend.verify.live.arguments import add_arguments
from prethrift_backend.verify.records.options import record_options
from prethrift_backend.verify.reports import Request, write_text

if TYPE_CHECKING:
    from prethrift_backend.verify.commands import Subparsers
    from prethrift_backend.verify.live.options import LiveOptions, LiveRun, LiveTokens

_USAGE_STATUS = 2
_INTERRUPTED_STATUS = 130
# What ends a run besides Ctrl-C: a scheduler, and a terminal that is closed.
_ENDINGS: Final = (signal.SIGTERM, signal.SIGHUP)
_EPILOG = (
    "Exit status: 0 verified, 1 a contract is violated, 2 wrong usage or contract files, 3 inconclusive: no answer, "
    "too little seen, 130 interrupted. Without --token, HEALTH_TOKEN and METRICS_TOKEN of the environment are sent to "
    "the endpoints they are for, PROMETHEUS_TOKEN and ALERTMANAGER_TOKEN to those programs; no report shows them."
)


def add_command(subparsers: Subparsers) -> None:
    """Add ``verify``."""
    parser = subparsers.add_parser(
        "verify",
        help="hold a running service against its contracts",
        description="Hold a running service against its contracts. Read-only, unless --probe or --inject is given.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    add_arguments(parser)
    parser.set_defaults(command=verify)


def verify(arguments: argparse.Namespace) -> None:
    """Run the stages, print what they found, and end with the status that it means."""
    try:
        # Only this command needs httpx, which is of an extra.
        from prethrift_backend.verify.live import client as live_client  # noqa: PLC0415 - as the commands of cli do
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("prethrift_backend"):
            raise
        _refuse(f"verify needs the module {error.name!r}: pip install 'prethrift-backend[contracts]'")
    try:
        load_exceptions(find_contracts(arguments.contracts))  # before anything is asked, not when the report is written
        options = _options(arguments)
        with _ended_in_order():
            run = _verified(arguments, options)
    except (ContractError, live_client.LiveUsageError) as error:
        _refuse(str(error))
    reports = arguments.report or [Request("human")]
    if any(report.kind == "human" and report.path is None for report in reports):
        with suppress(BrokenPipeError):  # the report meets it again, and knows what to do
            write_text("\n".join([*_stage_lines(run), ""]), sys.stdout)
    try:
        conclude(run.outcome, arguments, secrets=options.tokens.all)
    except SystemExit:
        if run.is_interrupted:
            sys.exit(_INTERRUPTED_STATUS)
        raise


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let what ends the run do so as Ctrl-C does: what was taken away comes back, and what was started is ended."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread alone
        return
    before = {number: signal.getsignal(number) for number in _ENDINGS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _verified(arguments: argparse.Namespace, options: LiveOptions) -> LiveRun:
    if arguments.url is not None:
        from prethrift_backend.verify.live.run import verify_live  # noqa: PLC0415 - it loads httpx

        return verify_live(arguments.url, arguments.contracts, options=options)
    from prethrift_backend.verify.live.application import verify_application  # noqa: PLC0415 - it loads the backend

    return verify_application(arguments.app, arguments.contracts, options=options)


def _options(arguments: argparse.Namespace) -> LiveOptions:
    from prethrift_backend.verify.arrival.rules import read_rules  # noqa: PLC0415 - it loads promql-parser
    from prethrift_backend.verify.live.client import LiveLimits  # noqa: PLC0415 - it loads httpx
    from prethrift_backend.verify.live.health_checks import HealthPaths  # noqa: PLC0415 - it loads httpx
    from prethrift_backend.verify.live.options import (  # noqa: PLC0415 - it loads httpx
        ArrivalOptions,
        InjectOptions,
        LiveOptions,
    )

    is_arrival = arguments.prometheus or arguments.alertmanager
    if arguments.rules and not is_arrival:
        raise ContractError("--rules says what is to be loaded: give --prometheus or --alertmanager, which load it")
    return LiveOptions(
        limits=LiveLimits(arguments.max_requests, arguments.timeout, arguments.rate),
        tokens=_tokens(arguments.token),
        paths=HealthPaths(arguments.live_path or None, arguments.ready_path or None, arguments.health_path or None),
        min_coverage=arguments.min_coverage,
        probe=arguments.probe,
        versions=arguments.allow_version,
        released=arguments.released,
        arrival=ArrivalOptions(
            arguments.prometheus,
            arguments.alertmanager,
            read_rules(arguments.rules) if is_arrival else (),
            arguments.arrival_timeout,
        ),
        inject=InjectOptions(
            arguments.inject, arguments.i_own_this, arguments.down, arguments.up, arguments.inject_timeout
        ),
        records=record_options(arguments),
    )


def _tokens(given: str | None) -> LiveTokens:
    from prethrift_backend.verify.live.options import LiveTokens  # noqa: PLC0415 - it loads httpx

    return LiveTokens(
        health=given or _from_environment("HEALTH_TOKEN"),
        metrics=given or _from_environment("METRICS_TOKEN"),
        prometheus=_from_environment("PROMETHEUS_TOKEN"),
        alertmanager=_from_environment("ALERTMANAGER_TOKEN"),
    )


def _from_environment(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def _stage_lines(run: LiveRun) -> Iterator[str]:
    for stage in run.stages:
        note = f"  {visible(stage.note)}" if stage.note else ""
        yield f"{stage.number:>2}  {stage.state:<7}  {stage.name}{note}"
    yield f"{run.requests} requests in {run.seconds:.1f} s"
    yield ""


def _refuse(message: str) -> None:
    print(f"prethrift-backend: {message}", file=sys.stderr)
    sys.exit(_USAGE_STATUS)
