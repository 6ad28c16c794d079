"""The backend of a changed copy, served without a database: ``python -m tests.corpus.backend FOLDER COLLECTOR``.

It writes its log to ``FOLDER/backend.log`` and, once it listens, its port to ``FOLDER/port``; its spans go to the
collector. Models and stores are not
there: what is asked of it is what it says of itself.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from tests.support.ports import LOOPBACK

from prethrift_backend.config import Settings
from prethrift_backend.embeddings import NullEmbeddings
from prethrift_backend.main import Overrides, build
from prethrift_backend.server import make_server

TOKEN: Final = "a-token-of-sixteen-characters"

# Nobody listens there: the pool is told at once.
_NO_DATABASE: Final = SecretStr("postgresql://nobody:nothing@127.0.0.1:9/none")
_PACE: Final = 20.0  # arbitrary: three failed runs of a check come within a second


def main(folder: Path, collector: str) -> None:
    """Serve until a signal."""
    settings = Settings(
        database_url=_NO_DATABASE,
        environment="development",
        log_level="DEBUG",
        log_format="json",
        log_file=folder / "backend.log",
        trace_sample_rate=1.0,
        otlp_endpoint=collector,
        otlp_metrics_interval_seconds=0.0,
        otlp_api_key=SecretStr("none"),
        health_details="authorized",
        health_token=SecretStr(TOKEN),
    )
    app = build(settings, overrides=Overrides(embeddings=NullEmbeddings(), health_pace=_PACE))
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        (folder / "port").write_text(str(listener.getsockname()[1]), encoding="utf-8")
        make_server(app).run(sockets=[listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
