"""The models' process: ``python -m prethrift_backend.embeddings.worker CLIP_MODEL TEXT_MODEL``.

It reads frames from standard input and answers on standard output. The first frame it writes says ``ready`` or
``failed``; each one after that answers a request by its ``id``. It ends when its standard input does, so it cannot
outlive the backend, however that ends. Only this module imports sentence_transformers, and only this process pays for
it: docs/decisions/0001-models-in-a-child-process.md.
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import sys
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from PIL import Image

from prethrift_backend.embeddings.frames import Frame, read_frame
from prethrift_backend.embeddings.pictures import unpack
from prethrift_backend.embeddings.protocol import CLIP_DIMENSIONS, TEXT_DIMENSIONS, Vector

# The event loop answers probes and cached searches on the same cores; 5 is arbitrary, between "equal" and "starved".
_NICENESS: Final = 5
_QUIET: Final = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
_MISSING_EXTRA: Final = "embedding models need the extra: pip install 'prethrift-backend[embeddings]'"


class LoadError(Exception):
    """The models cannot be loaded as they are configured; trying again would not help."""


class Models:
    """The two models, loaded and tried once.

    ``encoder`` is the class sentence_transformers.SentenceTransformer; a test hands in another.
    """

    def __init__(self, encoder: Any, *, clip_model: str, text_model: str) -> None:
        self._clip = _load(encoder, clip_model)
        self._text = _load(encoder, text_model)
        _check_dimensions("CLIP_MODEL", clip_model, self._encode(self._clip, ["a"]), CLIP_DIMENSIONS)
        _check_dimensions("TEXT_MODEL", text_model, self._encode(self._text, ["a"]), TEXT_DIMENSIONS)
        self.square_px = _square_px(self._clip)
        side = self.square_px or 64
        picture = self._encode(self._clip, [Image.new("RGB", (side, side))])
        _check_dimensions("CLIP_MODEL", clip_model, picture, CLIP_DIMENSIONS)

    def answer(self, header: Mapping[str, Any], payload: bytes) -> Vector:
        """Return one row of unit length for each item of a request; raises what the model raises."""
        match header["operation"]:
            case "clip_text":
                return self._encode(self._clip, header["texts"])
            case "clip_image":
                return self._encode(self._clip, [pixels.image() for pixels in unpack(header, payload)])
            case "text":
                return self._encode(self._text, header["texts"])
            case other:
                raise ValueError(f"operation {other!r}: it must be clip_text, clip_image or text")

    def _encode(self, model: Any, items: Sequence[str] | Sequence[Image.Image]) -> Vector:
        rows = model.encode(list(items), batch_size=len(items), convert_to_numpy=True, show_progress_bar=False)
        rows = np.asarray(rows, dtype=np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.all(np.isfinite(lengths)) or np.any(lengths == 0):
            raise ValueError("the model gave a vector without a direction: not finite, or all zero")
        return np.ascontiguousarray(rows / lengths, dtype=np.float32)


def serve(stream: BinaryIO, out: BinaryIO, *, clip_model: str, text_model: str) -> None:
    """Load the models, then answer the frames of ``stream`` until it ends."""
    requests: queue.SimpleQueue[Frame] = queue.SimpleQueue()
    # A thread of its own notices the end of the stream while the main one loads or computes.
    threading.Thread(target=_listen, args=(stream, requests), daemon=True, name="listen").start()
    try:
        models, ready = _start(clip_model, text_model)
    except Exception as error:  # noqa: BLE001 - every reason is the backend's to tell; there is nobody here to see it
        _write(out, Frame({"event": "failed", "final": isinstance(error, LoadError), "message": _sentence(error)}))
        return
    _write(out, Frame({"event": "ready", **ready}))
    while True:
        _write(out, _respond(models, requests.get()))


def _start(clip_model: str, text_model: str) -> tuple[Models, dict[str, Any]]:
    began = time.monotonic()
    _check_folder("CLIP_MODEL", clip_model)  # before the import, which takes seconds
    _check_folder("TEXT_MODEL", text_model)
    if _is_folder(clip_model) and _is_folder(text_model):
        os.environ["HF_HUB_OFFLINE"] = "1"  # before the import: the hub's library reads it once
    try:
        encoder = importlib.import_module("sentence_transformers").SentenceTransformer
    except ModuleNotFoundError as error:
        raise LoadError(_MISSING_EXTRA) from error
    models = Models(encoder, clip_model=clip_model, text_model=text_model)
    return models, {
        "dimensions": {"clip": CLIP_DIMENSIONS, "text": TEXT_DIMENSIONS},
        "versions": {name: version(name) for name in ("sentence-transformers", "torch", "transformers")},
        "square_px": models.square_px,
        "load_seconds": round(time.monotonic() - began, 3),
    }


def _listen(stream: BinaryIO, requests: queue.SimpleQueue[Frame]) -> None:
    try:
        while (frame := read_frame(stream)) is not None:
            requests.put(frame)
    finally:
        # The backend is gone or has closed the pipe. Nobody waits for an answer, and a model in mid-computation does
        # not listen: leave without ceremony.
        os._exit(0)


def _respond(models: Models, request: Frame) -> Frame:
    identifier = request.header["id"]
    try:
        rows = models.answer(request.header, request.payload)
    except Exception as error:  # noqa: BLE001 - one bad request must not take the models away from the others
        print(f"request {identifier} failed: {error!r}", file=sys.stderr)
        return Frame({"id": identifier, "error": type(error).__name__})
    return Frame({"id": identifier, "rows": rows.shape[0], "dimensions": rows.shape[1]}, rows.tobytes())


def _check_folder(setting: str, name: str) -> None:
    if Path(name).is_absolute() and not _is_folder(name):
        raise LoadError(f"{setting}={name!r} is not a folder: name a model of the hub, or a folder that exists")


def _load(encoder: Any, name: str) -> Any:
    model = encoder(name, device="cpu", local_files_only=_is_folder(name))
    _bound_tokens(model)
    return model


def _bound_tokens(model: Any) -> None:
    """Make long texts end where the model's positions do: not every checkpoint's tokenizer knows its limit."""
    config = getattr(getattr(model[0], "model", None), "config", None)
    config = getattr(config, "text_config", config)
    most = getattr(config, "max_position_embeddings", None)
    if most is not None and (model.max_seq_length is None or model.max_seq_length > most):
        model.max_seq_length = most


def _square_px(model: Any) -> int | None:
    """Return the side of CLIP's square, or None when this model's preprocessing is not CLIP's."""
    processor = getattr(getattr(model[0], "processor", None), "image_processor", None)
    size, crop = getattr(processor, "size", None), getattr(processor, "crop_size", None)
    if processor is None or not size or not crop or processor.resample != Image.Resampling.BICUBIC:
        return None
    sides = {size.get("shortest_edge"), crop.get("height"), crop.get("width")}
    return int(sides.pop()) if len(sides) == 1 and None not in sides else None


def _check_dimensions(setting: str, name: str, rows: Vector, expected: int) -> None:
    if rows.shape[1] != expected:
        example = "clip-ViT-B-32" if setting == "CLIP_MODEL" else "all-MiniLM-L6-v2"
        raise LoadError(
            f"{setting}={name!r} gives vectors of {rows.shape[1]} numbers: the catalogue holds {expected}; "
            f"name a model with {expected}, such as {example}"
        )


def _is_folder(name: str) -> bool:
    return Path(name).is_dir()


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, LoadError) else f"the models did not load: {type(error).__name__}: {error}"


def _write(out: BinaryIO, frame: Frame) -> None:
    out.write(frame.encode())
    out.flush()


def main(arguments: Sequence[str]) -> None:
    """Run as the models' process; standard output is kept for frames, whatever a library prints goes to stderr."""
    clip_model, text_model = arguments
    os.nice(_NICENESS)
    os.environ.update(_QUIET)
    warnings.simplefilter("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, out, clip_model=clip_model, text_model=text_model)
    os._exit(1)  # not an ordinary exit: the listening thread holds standard input, which the interpreter would wait for


if __name__ == "__main__":
    main(sys.argv[1:])
