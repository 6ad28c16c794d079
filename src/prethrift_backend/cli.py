"""The command `prethrift-backend`.

Each command imports what it needs when it runs, so that `config` does not wait for a web framework to load and `serve`
does not need the development stack. This is the top layer: nothing imports it, and nothing is hidden by it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from prethrift_backend import __version__
from prethrift_backend.exceptions import ConfigurationError, ConfigurationFault, ContractError, PrethriftError

_CONFIGURATION_STATUS = 2
_FAILURE_STATUS = 1

_HEALTH_EPILOG = (
    "Exit status: 0 healthy or degraded, 1 unhealthy, 2 wrong usage, or nothing that tells of health. HEALTH_TOKEN is "
    "sent as a bearer token; it and PORT are read from the environment alone, and no proxy of it is used."
)

_CONTRACTS_EPILOG = (
    "Exit status: 0 verified, 1 a contract is violated, 2 wrong usage or a contract file that cannot be read, 3 "
    "inconclusive: nothing was observed, or too little."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process: 0 done, 1 failed, 2 wrong usage or configuration."""
    given = sys.argv[1:] if arguments is None else arguments
    chosen = _make_parser(with_contracts="contracts" in given[:1]).parse_args(given)
    command: Callable[[argparse.Namespace], None] = chosen.command
    try:
        command(chosen)
    except ConfigurationError as error:
        _complain(error)
        sys.exit(_CONFIGURATION_STATUS)
    except ContractError as error:
        print(f"prethrift-backend: {error}", file=sys.stderr)
        sys.exit(_CONFIGURATION_STATUS)
    except PrethriftError as error:
        print(f"prethrift-backend: {error}", file=sys.stderr)
        sys.exit(_FAILURE_STATUS)
    except BrokenPipeError:
        # The reader of our output has seen enough (`… | head`); what is still buffered has nowhere to go.
        _drop_output()
    except KeyboardInterrupt:
        sys.exit(130)  # 128 + SIGINT, as shells have it


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(error: ConfigurationError) -> None:
    count = len(error.faults)
    things = "1 setting is" if count == 1 else f"{count} settings are"
    print(f"prethrift-backend: {things} not usable, nothing was started:", file=sys.stderr)
    for fault in error.faults:
        print(f"  {fault}", file=sys.stderr)


def _make_parser(*, with_contracts: bool = False) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="prethrift-backend", description="A search backend for second-hand clothes.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"prethrift-backend {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add(commands, serve, "serve", "serve with the settings of the environment")
    dev = _add(commands, develop, "dev", "serve a sample catalogue on an embedded PostgreSQL and a local S3")
    dev.add_argument("--data-dir", type=Path, help="the folder for the data; without it, one in your data directory")
    dev.add_argument(
        "--garments", type=int, metavar="N", help="take in the first N of the sample garments: sooner on a slow machine"
    )
    _add(commands, migrate, "migrate", "bring the database's tables up to date; safe when several start at once")
    probe = _add(commands, show_health, "health", "ask a running server for its health", epilog=_HEALTH_EPILOG)
    probe.add_argument("url", metavar="URL", nargs="?", help="default: http://127.0.0.1:$PORT/health")
    probe.add_argument("--kind", choices=("live", "ready"), help="ask /health/live or /health/ready")
    probe.add_argument("--json", action="store_true", help="print the body as it came")
    probe.add_argument(
        "--timeout-seconds", type=_timeout, default=2.0, metavar="S", help="for the whole of it (default: %(default)g)"
    )
    _add(commands, show_config, "config", "print the settings in force and where each came from")
    sweep = _add(commands, sweep_orphans, "sweep", "find pictures without an item and items without a picture")
    sweep.add_argument("--remove", action="store_true", help="remove the pictures that have no item")
    sweep.add_argument(
        "--older-than-seconds", type=float, default=3600.0, help="leave out younger ones: an ingest may be under way"
    )
    _add_contracts(commands, with_commands=with_contracts)
    return parser


def _add_contracts(commands: argparse._SubParsersAction[argparse.ArgumentParser], *, with_commands: bool) -> None:
    summary = "hold the contracts against files, code and a running process"
    group = commands.add_parser(
        "contracts",
        help=summary,
        description=f"{summary.capitalize()}.",
        epilog=_CONTRACTS_EPILOG,
        allow_abbrev=False,
    )
    if with_commands:  # they load much that no other command needs
        from prethrift_backend.verify.commands import add_commands

        add_commands(group)


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    command: Callable[[argparse.Namespace], None],
    name: str,
    summary: str,
    *,
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    description = summary.capitalize() + "."
    parser = commands.add_parser(name, help=summary, description=description, epilog=epilog, allow_abbrev=False)
    parser.set_defaults(command=command)
    return parser


def serve(_arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    from prethrift_backend.config import load, load_settings
    from prethrift_backend.server import serve_application

    environ = dict(os.environ)  # as it was given: with several workers the server adds to it
    loaded = load(environ=environ, serves=True)
    for warning in loaded.warnings:
        print(f"prethrift-backend: warning: {warning}", file=sys.stderr)
    serve_application(loaded.settings, read_settings=partial(load_settings, environ=environ, serves=True))


def develop(arguments: argparse.Namespace) -> None:
    """Serve the sample catalogue on embedded defaults."""
    try:
        from prethrift_backend.devstack import stack
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("prethrift_backend"):
            raise
        print(
            f"prethrift-backend dev needs the module {error.name!r}, which is not installed: "
            "pip install 'prethrift-backend[embeddings,dev]'",
            file=sys.stderr,
        )
        sys.exit(_CONFIGURATION_STATUS)
    stack.run(arguments.data_dir, garments=arguments.garments)


def migrate(_arguments: argparse.Namespace) -> None:
    """Bring the database up to date and say what changed."""
    from prethrift_backend.stores.migrations import migrate as run

    done = asyncio.run(run(_database_url()))
    if done.before == done.after:
        print(f"the database is up to date, at revision {done.after}")
    else:
        print(f"the database went from revision {done.before or 'none'} to {done.after}")


def show_health(arguments: argparse.Namespace) -> None:
    """Ask a running server for its health, print the answer, and end with the status that it means."""
    from prethrift_backend import probe

    try:
        target = probe.locate(arguments.url, kind=arguments.kind, environ=os.environ)
        token = probe.own_token(os.environ)
        finding = probe.understand(target, probe.fetch(target, token=token, timeout_seconds=arguments.timeout_seconds))
    except probe.ProbeError as error:
        print(f"prethrift-backend: {error}", file=sys.stderr)
        sys.exit(probe.UNKNOWN_STATUS)
    encoding = sys.stdout.encoding or "utf-8"
    if arguments.json:
        text = probe.passed_through(finding, encoding=encoding)
    else:
        text = probe.describe(target, finding, in_colour=_in_colour(), encoding=encoding)
    try:
        print(text, flush=True)
    except BrokenPipeError:  # the status is what scripts ask for, whether or not anybody reads the text
        _drop_output()
    sys.exit(finding.exit_status)


def _in_colour() -> bool:
    # https://no-color.org: any value but an empty one.
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _timeout(text: str) -> float:
    from prethrift_backend.probe import TIMEOUT_SECONDS_MAX

    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= TIMEOUT_SECONDS_MAX:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time: give seconds above 0, {TIMEOUT_SECONDS_MAX:g} at most"
        )
    return value


def show_config(_arguments: argparse.Namespace) -> None:
    """Print the settings, secrets masked, and names that look misspelt; or what keeps `serve` from starting."""
    from prethrift_backend.config import describe_settings, load

    print(describe_settings(load(serves=True)))


def sweep_orphans(arguments: argparse.Namespace) -> None:
    """Find what a failure in the middle of an ingest or a removal may have left, and remove it when asked."""
    from prethrift_backend.config import load_settings
    from prethrift_backend.main import sweep

    report = asyncio.run(
        sweep(load_settings(), older_than_seconds=arguments.older_than_seconds, remove=arguments.remove)
    )
    for key in report.orphaned_keys:
        print(f"picture without an item: {key}")
    for item_id in report.items_without_picture:
        print(f"item without a picture: {item_id}")
    print(
        f"{len(report.orphaned_keys)} pictures without an item, {report.removed_count} of them removed; "
        f"{len(report.items_without_picture)} items without a picture"
    )


def _database_url() -> str:
    from prethrift_backend.config import load_settings

    url = load_settings().database_url
    if url is None:
        fix = "give the address, such as postgresql://user:password@host/database"
        raise ConfigurationError([ConfigurationFault("DATABASE_URL", None, "is not set", fix)])
    return url.get_secret_value()


if __name__ == "__main__":
    main()
