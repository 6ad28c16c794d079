"""What the parts of the development stack have in common: they are started, and stopped again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Part(ABC):
    """A part that runs inside a ``with`` block: started on entry, stopped on exit whatever happened."""

    @abstractmethod
    def start(self) -> None:
        """Start the part; return when it can be used."""

    @abstractmethod
    def stop(self) -> None:
        """Stop the part; a second call does nothing."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
