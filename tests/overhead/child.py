"""One variant in a process of its own: several of them patch what is global, and share the interpreter's caches.

``python -m tests.overhead.child MODE MODULE SAMPLED ROUTES SINK`` answers on its standard output, one line of JSON each
time. MODE `measure`, `count` or `profile` says ``{"ready": true}`` when it is warm, takes on its standard input a count
of requests a line, and answers with time, the interpreter's instructions, or functions. `serve` says ``{"port": …}``
and serves until it is ended, with uvicorn's parser and loop in C; `serve-in-python` with those in Python. What fails is
said as ``{"error": …}``.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import socket
import sys
import warnings
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import IO, Any

from tests.overhead.profiling import profile
from tests.overhead.sink import LOOPBACK
from tests.overhead.workload import Client, Variant, count_instructions, measure, path_of_last, warm_up

_SERVERS = {"serve": {}, "serve-in-python": {"http": "h11", "loop": "asyncio"}}
_ANSWERS = {"measure": measure, "count": count_instructions, "profile": profile}


def main(mode: str, module: str, sampled: str, routes: str, sink: str) -> None:
    """Build the variant and do what ``mode`` says."""
    warnings.simplefilter("ignore")
    answers = _take_output()
    try:
        built: Variant = importlib.import_module(f"tests.overhead.variants.{module}").build(
            int(routes), sink, sampled=float(sampled)
        )
        if mode in _SERVERS:
            _serve(built, answers, **_SERVERS[mode])
        else:
            _answer(built, int(routes), answers, take=_ANSWERS[mode])
    except Exception as error:  # noqa: BLE001 - the table says what a peer failed with
        _say(answers, error=f"{type(error).__name__}: {error}")


def _take_output() -> IO[str]:
    """Keep the standard output for answers; what else is printed goes nowhere."""
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    return answers


def _say(answers: IO[str], **what: Any) -> None:
    answers.write(json.dumps(what) + "\n")
    answers.flush()


def _answer(variant: Variant, routes: int, answers: IO[str], *, take: Callable[..., Coroutine[Any, Any, Any]]) -> None:
    client = Client(variant.app, path_of_last(routes))
    with asyncio.Runner() as runner:
        runner.run(warm_up(client, drain=variant.drain))
        _say(answers, ready=True)
        for line in sys.stdin:
            _say(answers, **asdict(runner.run(take(client, int(line), drain=variant.drain))))
    os._exit(0)  # no peer's patience with a receiver that is gone


def _serve(variant: Variant, answers: IO[str], **options: Any) -> None:
    import uvicorn  # noqa: PLC0415 - the measuring child has no server, and pays for none

    config = uvicorn.Config(
        variant.app,
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        reset_contextvars=True,
        **options,
    )
    # The protocol is named because asyncio switches Nagle's algorithm off only on sockets that name it.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen(2048)
        _say(answers, port=listener.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
