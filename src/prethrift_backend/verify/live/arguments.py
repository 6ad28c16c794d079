"""The options of ``contracts verify``; apart from the command, which needs modules of an extra."""

from __future__ import annotations

import argparse
from pathlib import Path

from prethrift_backend.verify.command_line import add_contracts_option, add_report_options
from prethrift_backend.verify.live.versions import VersionRange, parse_range
from prethrift_backend.verify.option_numbers import count, positive, share
from prethrift_backend.verify.records.options import add_record_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add everything that the command takes."""
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("url", nargs="?", metavar="URL", help="the service, such as http://127.0.0.1:8000")
    target.add_argument(
        "--app",
        nargs="?",
        const="",
        metavar="MODULE:ATTRIBUTE",
        help="run an application in this process instead, its logs and traces included; without a name this package's",
    )
    add_contracts_option(parser)
    add_report_options(parser)
    parser.add_argument("--max-requests", type=count, default=60, metavar="N", help="default: %(default)s")
    parser.add_argument("--timeout", type=positive, default=5.0, metavar="S", help="for each (default: %(default)g)")
    parser.add_argument("--rate", type=positive, default=10.0, metavar="N", help="per second (default: %(default)g)")
    parser.add_argument("--token", metavar="TOKEN", help="the bearer token of both health details and metrics")
    parser.add_argument("--min-coverage", type=share, default=0.9, metavar="SHARE", help="default: %(default)g")
    parser.add_argument("--probe", action="store_true", help="send requests that no route takes, and count them")
    for name, default in (("live", "/health/live"), ("ready", "/health/ready"), ("health", "/health")):
        parser.add_argument(f"--{name}-path", default=default, metavar="PATH", help="default: %(default)s; '' for none")
    _add_version_options(parser)
    add_record_options(parser)
    _add_arrival_options(parser)
    _add_inject_options(parser)


def _add_version_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("while a deployment rolls")
    group.add_argument(
        "--allow-version",
        type=_versions,
        metavar="A..B",
        help="versions of the contract that may run beside the one at hand; each is held against its own",
    )
    group.add_argument(
        "--released", type=Path, metavar="DIR", help="has a folder a version (default: released/, then tags of git)"
    )


def _add_arrival_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where it arrives")
    group.add_argument("--prometheus", metavar="URL", help="hold what this Prometheus has against the contract")
    group.add_argument("--alertmanager", metavar="URL", help="follow the alerts through this Alertmanager")
    group.add_argument(
        "--rules",
        nargs="+",
        type=Path,
        default=[],
        metavar="PATH",
        help="rule files that are to be loaded (default: ops/prometheus where it is there)",
    )
    group.add_argument(
        "--arrival-timeout", type=positive, metavar="S", help="how long to wait (default: four scrape intervals)"
    )


def _add_inject_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("when it is treated badly")
    group.add_argument("--inject", action="store_true", help="be a bad client, on this machine only")
    group.add_argument("--i-own-this", action="store_true", help="allow --inject on another machine")
    group.add_argument("--down", metavar="COMMAND", help="takes a dependency away (run without a shell)")
    group.add_argument("--up", metavar="COMMAND", help="brings it back; run whatever happens")
    group.add_argument(
        "--inject-timeout", type=positive, default=60.0, metavar="S", help="for each turn (default: %(default)g)"
    )


def _versions(text: str) -> VersionRange:
    try:
        return parse_range(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
