"""A server that reloads its code: the process that goes sends what it has, the one that comes begins anew."""

import os
import sys
from pathlib import Path

import httpx
from tests.support.http_receiver import FaultyReceiver
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ServerProcess

APPLICATION = """
from fastapi import FastAPI

from prethrift_backend.config import load_settings
from prethrift_backend.observability import instrument

api = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})


@api.get("/version")
async def version() -> int:
    return NUMBER


app = instrument(api, load_settings())
"""
START_SECONDS = 60.0


def test_a_reloaded_server_loses_nothing(tmp_path: Path, otlp_receiver: FaultyReceiver) -> None:
    """The answers, lines and spans of the old code and of the new are there, each once, and the end is in order."""
    module, port = tmp_path / "reloaded_shop.py", free_port()
    module.write_text(APPLICATION.replace("NUMBER", "1"))
    url = f"http://{LOOPBACK}:{port}/version"
    environ = {
        **os.environ, "OTLP_ENDPOINT": otlp_receiver.endpoint, "OTLP_METRICS_INTERVAL_SECONDS": "0",
        "LOG_FORMAT": "json", "TRACE_SAMPLE_RATE": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "uvicorn", "--reload", "reloaded_shop:app", "--port", str(port)]
    with ServerProcess(command, environ=environ, directory=tmp_path) as server:
        server.wait_for_http(url, START_SECONDS)
        module.write_text(APPLICATION.replace("NUMBER", "2"))
        server.wait_for(lambda: _answer(url) == 2, START_SECONDS, what="the new code")
        server.stop()

        records = server.records
    lines = [line["span_id"] for line in records if line["event"] == "request_completed"]
    names = [name for request in otlp_receiver.requests for name in request.span_names if name != "background"]
    assert len(lines) == len(set(lines)) >= 2
    assert names == ["GET /version"] * len(lines)


def _answer(url: str) -> object:
    try:
        return httpx.get(url, trust_env=False).json()
    except httpx.TransportError:  # one is gone, the other not there yet
        return None
