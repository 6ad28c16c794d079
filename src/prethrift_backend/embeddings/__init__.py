"""Texts and pictures as vectors: the protocol, the real models behind a process boundary, and a null for tests."""

from prethrift_backend.embeddings.batching import BatcherFigures, MicroBatcher
from prethrift_backend.embeddings.cache import CacheFigures
from prethrift_backend.embeddings.model import ModelEmbeddings, RestartPolicy
from prethrift_backend.embeddings.null import NullEmbeddings
from prethrift_backend.embeddings.process import ModelFacts
from prethrift_backend.embeddings.protocol import (
    CLIP_DIMENSIONS,
    TEXT_DIMENSIONS,
    EmbeddingFailedError,
    EmbeddingInterruptedError,
    Embeddings,
    ItemVectors,
    ModelState,
    QueryVectors,
    Vector,
)

__all__ = [
    "CLIP_DIMENSIONS",
    "TEXT_DIMENSIONS",
    "BatcherFigures",
    "CacheFigures",
    "EmbeddingFailedError",
    "EmbeddingInterruptedError",
    "Embeddings",
    "ItemVectors",
    "MicroBatcher",
    "ModelEmbeddings",
    "ModelFacts",
    "ModelState",
    "NullEmbeddings",
    "QueryVectors",
    "RestartPolicy",
    "Vector",
]
