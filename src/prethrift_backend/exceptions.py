"""The errors that the backend raises on purpose, in three kinds.

An *expected* error is the caller's to mend and pages nobody. An *operational* error says that something the backend
depends on is away or busy: the caller may try again, and the people on call may want to know. A *configuration* error
ends the process before it has opened anything. Whatever is none of these is a bug.

Every text follows one form: what failed, which value, the rule, the fix. No text holds a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


class PrethriftError(Exception):
    """The base of every error that the backend raises on purpose; ``code`` is its stable name."""

    code: ClassVar[str] = "internal"


class ExpectedError(PrethriftError):
    """The caller asked for something that cannot be given; the caller can mend it."""


class ItemNotFoundError(ExpectedError):
    """No item has this id."""

    code = "item_not_found"


class InvalidQueryError(ExpectedError):
    """A search query breaks a rule that its type alone does not state."""

    code = "invalid_query"


class InvalidPictureError(ExpectedError):
    """The uploaded bytes are a picture in name only: broken, empty, or with absurd dimensions."""

    code = "invalid_picture"


class UnsupportedPictureError(ExpectedError):
    """The uploaded bytes are not JPEG, PNG or WebP, judged by content."""

    code = "unsupported_picture"


class BodyTooLargeError(ExpectedError):
    """The request body or the picture in it is larger than allowed."""

    code = "body_too_large"


class OperationalError(PrethriftError):
    """Something the backend depends on is away or busy; ``retry_after_seconds`` says when to try again."""

    code = "unavailable"
    retry_after_seconds: ClassVar[int] = 5


class DatabaseUnavailableError(OperationalError):
    """The database does not answer, or its pool has no free connection in time."""

    code = "database_unavailable"


class ImageStoreUnavailableError(OperationalError):
    """The picture store does not answer."""

    code = "image_store_unavailable"


class ModelsNotReadyError(OperationalError):
    """The embedding models are still loading, or failed to load."""

    code = "models_not_ready"


class EmbeddingQueueFullError(OperationalError):
    """More embeddings wait than the queue may hold."""

    code = "embedding_queue_full"
    retry_after_seconds = 1


class ProbeFailedError(PrethriftError):
    """A resource's owner looked at it and found it wanting; says why in one word of the closed list of health codes.

    ``probe_code`` is such a word ("unreachable", "wrong_dimension"); ``details`` holds numbers, booleans and single
    words. Neither holds text of an exception, since both are shown.
    """

    code = "probe_failed"

    def __init__(self, probe_code: str, *, details: Mapping[str, object] | None = None) -> None:
        self.probe_code = probe_code
        self.details = dict(details or {})
        super().__init__(probe_code)


@dataclass(frozen=True, slots=True)
class ConfigurationFault:
    """One thing wrong with the configuration.

    ``shown_value`` is the value as it may be printed: masked where the setting is a secret, None where it is unset.
    ``rule`` says what the value is not, ``fix`` what to do: ``PORT='http' is not a port: give a whole number``.
    """

    name: str
    shown_value: str | None
    rule: str
    fix: str

    def __str__(self) -> str:
        value = "" if self.shown_value is None else f"={self.shown_value!r}"
        return f"{self.name}{value} {self.rule}: {self.fix}"


class ConfigurationError(PrethriftError):
    """The configuration is not usable; holds every fault, not only the first."""

    code = "configuration"

    def __init__(self, faults: Sequence[ConfigurationFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


@dataclass(frozen=True, slots=True)
class ContractFault:
    """One thing wrong with a contract file; lines and columns count from 1."""

    source: str
    line: int
    column: int
    what: str
    rule: str
    fix: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}: {self.what}: {self.rule}; {self.fix}"


class ContractError(PrethriftError):
    """A contract file cannot be read; the text names file, line, column, rule and fix.

    ``faults`` holds every fault, where a text could be read at all; the message shows the first of them.
    """

    code = "contract"

    def __init__(self, message: str, *, faults: Sequence[ContractFault] = ()) -> None:
        self.faults = tuple(faults)
        super().__init__(message)


class DevstackError(PrethriftError):
    """The development stack cannot start; the text says why and what to do."""

    code = "devstack"
