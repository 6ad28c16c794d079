"""A process that has telemetry to send and stops: ``python -m tests.support.stopping``, its settings as variables.

It serves some requests, one of which fails, says ``stopping``, closes its telemetry and ends.
"""

from __future__ import annotations

import asyncio
import os

from fastapi import FastAPI
from tests.support.asgi import drive, http_scope

from prethrift_backend.config import load_settings
from prethrift_backend.observability import configure, get_logger, instrument

REQUESTS = 50


async def _greet() -> dict[str, str]:
    return {"hello": "world"}


async def _fail() -> None:
    get_logger(__name__).warning("about_to_fail")
    raise RuntimeError("as a bug does")


async def main() -> None:
    """Leave something in every queue, then stop."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    app.get("/")(_greet)
    app.get("/fail")(_fail)
    telemetry = configure(load_settings())
    instrumented = instrument(app, telemetry)
    for _ in range(REQUESTS):
        await drive(instrumented, http_scope())
    await drive(instrumented, http_scope(path="/fail"))
    os.write(1, b"stopping\n")
    await telemetry.aclose()
    os.write(1, b"closed\n")


if __name__ == "__main__":
    asyncio.run(main())
