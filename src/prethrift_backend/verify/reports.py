"""Reports of an outcome: which there are, and how each is written; all of them see texts without secrets."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from prethrift_backend.exceptions import ContractError
from prethrift_backend.observability.redaction import REDACTED, Redactor
from prethrift_backend.verify._github import render_github, render_summary
from prethrift_backend.verify._human import render_human
from prethrift_backend.verify._json import render_json, render_jsonl
from prethrift_backend.verify._junit import render_junit
from prethrift_backend.verify._sarif import render_sarif
from prethrift_backend.verify._text import mapped, without_surrogates
from prethrift_backend.verify._textfile import render_textfile
from prethrift_backend.verify.findings import Outcome
from prethrift_backend.verify.verdict import Run

RENDERERS: Final[Mapping[str, Callable[[Outcome, Run], str]]] = {
    "github": render_github,
    "human": render_human,
    "json": render_json,
    "jsonl": render_jsonl,
    "junit": render_junit,
    "prom": render_textfile,
    "sarif": render_sarif,
}


@dataclass(frozen=True, slots=True)
class Request:
    """One report that is asked for; without a path it goes to standard output."""

    kind: str
    path: Path | None = None


def parse_request(text: str) -> Request:
    """Return the report that ``KIND`` or ``KIND=FILE`` asks for.

    Raises ValueError where the kind is unknown or the file has no name.
    """
    kind, separator, path = text.partition("=")
    if kind not in RENDERERS:
        raise ValueError(f"{kind!r} is no kind of report: it is one of {', '.join(RENDERERS)}")
    if separator and not path:
        raise ValueError(f"{text!r} names no file: write {kind}=FILE, or {kind} for standard output")
    return Request(kind, Path(path) if path and path != "-" else None)


def presentable(outcome: Outcome, *, secrets: Sequence[str] = ()) -> Outcome:
    """Return the outcome as reports show it: sorted, without secrets, in text that UTF-8 can hold.

    ``secrets`` are values to hide besides what looks like a secret: the tokens that the run itself has used.
    """
    hidden = [secret for secret in secrets if secret]

    def without_own(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, REDACTED)
        return text

    redactor = Redactor(extra_rules=[without_own])
    return mapped(outcome, lambda text: redactor.redact_text(without_surrogates(text)))


def render(kind: str, outcome: Outcome, run: Run, *, secrets: Sequence[str] = ()) -> str:
    """Return a report of the kind as text."""
    return RENDERERS[kind](presentable(outcome, secrets=secrets), run)


def write_reports(
    requests: Sequence[Request],
    outcome: Outcome,
    run: Run,
    *,
    output: TextIO,
    environ: Mapping[str, str],
    secrets: Sequence[str] = (),
) -> None:
    """Write each report to its file or to ``output``.

    Files come first: the reader of ``output`` may be gone before its end. A file is whole or not there: nobody reads
    half of one. Raises ContractError where one cannot be written.
    """
    shown = presentable(outcome, secrets=secrets)
    for request in requests:
        if request.path is not None:
            _write_file(request.path, _for_file(request, shown, run))
        if request.kind == "github" and environ.get("GITHUB_STEP_SUMMARY"):
            _append(Path(environ["GITHUB_STEP_SUMMARY"]), render_summary(shown, run))
    for request in requests:
        if request.path is None:
            write_text(RENDERERS[request.kind](shown, run), output)
    output.flush()


def _for_file(request: Request, shown: Outcome, run: Run) -> str:
    if request.kind != "prom" or request.path is None:
        return RENDERERS[request.kind](shown, run)
    with suppress(OSError):
        return render_textfile(shown, run, previous=request.path.read_text(encoding="utf-8", errors="replace"))
    return render_textfile(shown, run)


def write_text(text: str, output: TextIO) -> None:
    """Write a text to an output; what its encoding does not have is escaped."""
    encoding = output.encoding or "utf-8"
    output.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _write_file(path: Path, text: str) -> None:
    try:
        _replace(path, text.encode())
    except OSError as error:
        raise _unwritable(path, error) from error


def _replace(path: Path, content: bytes) -> None:
    # In the same folder, since a rename does not cross file systems; not ending in .prom, which the node exporter
    # would read.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            # mkstemp lets only the owner read; the exporter and CI run as somebody else.
            os.fchmod(descriptor, 0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ContractError:
    return ContractError(f"{path}: {error.strerror}: the folder of a report exists and can be written; name another")
