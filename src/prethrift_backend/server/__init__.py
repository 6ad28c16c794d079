"""The HTTP server around an application: one process, or several workers that are replaced and renewed."""

from prethrift_backend.server.http import make_server
from prethrift_backend.server.listening import address_of, listen
from prethrift_backend.server.serving import WorkerFailedError, serve_application

__all__ = ["WorkerFailedError", "address_of", "listen", "make_server", "serve_application"]
