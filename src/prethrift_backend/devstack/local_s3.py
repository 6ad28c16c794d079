"""A local S3 whose objects outlive it: moto speaks the protocol, a folder keeps the objects.

moto holds everything in memory. Around its WSGI application stands one layer that writes each accepted PUT to a file
and removes it on DELETE, and that puts the files back at the next start. It runs in a process of its own, as S3 would:
``python -m prethrift_backend.devstack.local_s3 --folder DIR --port PORT``.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client
from werkzeug.wrappers import Response

_META_SUFFIX = "=meta.json"  # no quoted key holds an equals sign
# moto refuses anonymous requests to a private bucket, and takes any signature that has the right shape. In us-east-1 a
# bucket is made without naming a region; in every other one the body would have to.
_SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=local/20000101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=none"
}


class ObjectFolder:
    """Objects as files: ``bucket/quoted-key``, with the media type beside each in a small JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def make_bucket(self, bucket: str) -> None:
        """Keep an empty bucket."""
        (self._path / _quote(bucket)).mkdir(parents=True, exist_ok=True)

    def write(self, bucket: str, key: str, data: bytes, media_type: str) -> None:
        """Keep an object; a kill in the middle leaves the former state, never half a file."""
        self.make_bucket(bucket)
        target = self._file(bucket, key)
        _write_whole(target.with_name(target.name + _META_SUFFIX), json.dumps({"media_type": media_type}).encode())
        _write_whole(target, data)

    def remove(self, bucket: str, key: str) -> None:
        """Forget an object; one that is not there is no error."""
        target = self._file(bucket, key)
        target.unlink(missing_ok=True)
        target.with_name(target.name + _META_SUFFIX).unlink(missing_ok=True)

    def buckets(self) -> Iterator[str]:
        """Yield the name of every bucket kept."""
        if self._path.is_dir():
            yield from sorted(unquote(folder.name) for folder in self._path.iterdir() if folder.is_dir())

    def objects(self, bucket: str) -> Iterator[tuple[str, bytes, str]]:
        """Yield key, bytes and media type of every object of a bucket."""
        for file in sorted((self._path / _quote(bucket)).iterdir()):
            meta = file.with_name(file.name + _META_SUFFIX)
            if not file.name.endswith(_META_SUFFIX) and meta.exists():
                yield unquote(file.name), file.read_bytes(), json.loads(meta.read_bytes())["media_type"]

    def _file(self, bucket: str, key: str) -> Path:
        return self._path / _quote(bucket) / _quote(key)


def _quote(name: str) -> str:
    # A name of dots alone would walk up the tree; quote() leaves dots as they are.
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


def _write_whole(target: Path, data: bytes) -> None:
    draft = target.with_name(target.name + "=new")
    draft.write_bytes(data)
    draft.replace(target)


class PersistentS3:
    """The WSGI application: moto's, with every accepted change of a bucket or an object mirrored to the folder."""

    def __init__(self, folder: ObjectFolder) -> None:
        self._folder = folder
        self._moto: WSGIApplication = DomainDispatcherApplication(create_backend_app)

    def restore(self) -> int:
        """Put everything that the folder holds back into moto; return the number of objects."""
        count = 0
        for bucket in self._folder.buckets():
            self._ask("PUT", bucket)
            for key, data, media_type in self._folder.objects(bucket):
                self._ask("PUT", bucket, key, data=data, content_type=media_type)
                count += 1
        return count

    def _ask(self, method: str, bucket: str, key: str = "", **request: Any) -> Response:
        path = f"/{quote(bucket)}/{quote(key)}" if key else f"/{quote(bucket)}"
        answer = Client(self._moto, Response).open(path, method=method, headers=_SIGNED, **request)
        if answer.status_code != 200:
            raise RuntimeError(f"the local S3 answers {method} {path!r} with {answer.status}")
        return answer

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request as moto does (PEP 3333), and mirror it when it changed something."""
        method = environ["REQUEST_METHOD"]
        if method not in {"PUT", "DELETE"}:
            return self._moto(environ, start_response)
        body = _read_body(environ)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        status: list[str] = []
        answer = b"".join(self._moto(environ, _noting(start_response, status)))
        if status and status[0].startswith("2"):
            self._mirror(method, environ)
        return [answer]

    def _mirror(self, method: str, environ: WSGIEnvironment) -> None:
        # PATH_INFO is bytes shown as latin-1 (PEP 3333).
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "surrogateescape")
        bucket, _, key = path.lstrip("/").partition("/")
        if environ.get("QUERY_STRING"):
            return  # sub-resources (policies, tags, parts of an upload): the backend uses none
        if not key:
            if method == "PUT":
                self._folder.make_bucket(bucket)
        elif method == "DELETE":
            self._folder.remove(bucket, key)
        else:
            # What moto stored, not what was sent: a client may send signed chunks, which moto has taken apart.
            stored = self._ask("GET", bucket, key)
            self._folder.write(bucket, key, stored.data, stored.content_type or "application/octet-stream")


def _read_body(environ: WSGIEnvironment) -> bytes:
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH")
    data: bytes = stream.read(int(length)) if length else b""
    return data


def _noting(start_response: StartResponse, status: list[str]) -> StartResponse:
    def start(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        status.append(line)
        return start_response(line, headers, exc_info)

    return start


class _QuietHandler(WSGIRequestHandler):
    """A request handler that prints no line per request."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the name is the parent's
        """Print nothing."""


def serve(folder: Path, port: int) -> None:
    """Serve until SIGTERM, or until standard input ends (the parent is gone); print ``ready PORT`` when serving."""
    application = PersistentS3(ObjectFolder(folder))
    application.restore()
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=_QuietHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"ready {server.port}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us in its turn
    sys.stdin.buffer.read()
    server.shutdown()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="A local S3 that keeps its objects in a folder.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    arguments = parser.parse_args()
    serve(arguments.folder, arguments.port)


if __name__ == "__main__":
    main()
