"""The spans that a source starts, held against ``spans.txt``, and the other way round."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Final

from prethrift_backend.contracts import SpanPromise, SpansContract
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.lint.expressions import is_raw, is_status
from prethrift_backend.verify.lint.findings import About
from prethrift_backend.verify.lint.source import Source, SourceModule
from prethrift_backend.verify.lint.span_calls import SpanStart, attribute_names, span_starts
from prethrift_backend.verify.records.never_checks import NeverChecks

_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True)
class SpanProducers:
    """The starts of spans in a source, and the contract that they keep.

    ``own`` is the source that is judged; ``source`` may have more, which makes spans for it.
    """

    contract: SpansContract
    own: Source
    source: Source

    @cached_property
    def starts(self) -> Sequence[SpanStart]:
        """Every start of a span in all of the source."""
        return tuple(span_starts(self.source))

    def findings(self) -> Iterator[Finding]:
        """Say which spans nobody promised, which nobody makes, and what is in them that must not be."""
        for start in self.starts:
            if start.module.name in self.own.modules:
                yield from self._judge(start)
        yield from self._secrets()
        for span in self.contract.spans:
            if self.why_unjudged(span) is None:
                yield from self._unmade(span)

    def why_unjudged(self, span: SpanPromise) -> str | None:
        """Return why it cannot be told whether somebody makes the span, None where it can."""
        if self._modules(span) or any(self._is_of(start, span) for start in self.starts):
            return None
        return f"its scope {span.scope!r} is not in the source that was read"

    def _judge(self, start: SpanStart) -> Iterator[Finding]:
        about = About("spans", start.form or start.module.name, Place(start.module.path, start.node.lineno))
        if any(is_raw(part, start.module, start.node.lineno) or is_status(part) for part in start.parts):
            message = f"the name of a span of {start.module.name} holds what a visitor sent, an id, a count or a status"
            yield about.fault("CD011", message, "use the template of the route, and give the value as an attribute")
        elif start.form is not None and start.form.strip("{} ") and not self._is_promised(start):
            message = f"a span {start.form!r} is made, and {self.contract.source} does not promise it"
            yield about.fault("V006", message, "add a SPAN block for it there, or correct the name or the scope")

    def _is_promised(self, start: SpanStart) -> bool:
        return any(self._is_of(start, span) for span in self.contract.spans)

    def _is_of(self, start: SpanStart, span: SpanPromise) -> bool:
        if start.form is None or (start.scope is not None and not fnmatchcase(start.scope, span.scope)):
            return False
        return any(_may_be(start.form, name) for name in span.names)

    def _modules(self, span: SpanPromise) -> list[SourceModule]:
        """Return the modules that a scope is named after."""
        scope = span.scope
        return [
            module
            for name, module in self.source.modules.items()
            if fnmatchcase(name, scope) or name.startswith(f"{scope}.")
        ]

    def _unmade(self, span: SpanPromise) -> Iterator[Finding]:
        about = About("spans", span.key, Place(self.contract.source, span.line))
        if not self._is_made(span):
            message = f"{span.key!r} is promised, and nothing in {span.scope!r} makes it"
            yield about.fault("V006", message, "make it, or correct its scope and its NAME, or take it away")
            return
        inner = [one for event in span.events for one in event.attributes]
        for attribute in (*span.attributes, *inner):
            if not self._is_set(attribute.name, span):
                message = f"the attribute {attribute.name!r} of {span.key!r} is promised, and nothing sets it"
                yield about.at(attribute.line).fault("CD012", message, "set it, or take it out of the contract")

    def _is_made(self, span: SpanPromise) -> bool:
        """Say whether a start has one of the names, or the words of one of them stand in the modules of the scope.

        A server span may be made past the tracer, and a name be put together elsewhere: then the words are all that
        can be seen of it.
        """
        if any(self._is_of(start, span) for start in self.starts if start.scope is not None):
            return True
        texts = {text for module in self._modules(span) for text in module.texts}
        forms = [[word.strip() for word in _PLACEHOLDER.split(name) if word.strip()] for name in span.names]
        return bool(texts) and any(all(any(word in text for text in texts) for word in words) for words in forms)

    def _is_set(self, attribute: str, span: SpanPromise) -> bool:
        """Say whether the name is written out; of a span that takes any, its end may be a keyword: ``set(count=3)``."""
        is_keyword = span.is_open and attribute.rpartition(".")[2] in self.source.keywords
        return attribute in self.source.used_texts or is_keyword

    def _secrets(self) -> Iterator[Finding]:
        never = NeverChecks(self.contract.never_keys, ())
        for module, node, name in attribute_names(self.own):
            for leak in never.leaks({name: "x"}):
                about = About("spans", name, Place(module.path, node.lineno))
                message = f"the attribute {name!r} is given to a span, and NEVER-KEY has {leak.word}"
                yield about.fault("CD010", message, "leave it out")


def _may_be(form: str, name: str) -> bool:
    """Say whether a name as it is written in the source may be one that a contract has."""
    written = _parts(form, "{}")
    return (
        re.fullmatch(written, _PLACEHOLDER.sub("x", name)) is not None or re.fullmatch(_parts(name), form) is not None
    )


def _parts(text: str, placeholder: str | None = None) -> str:
    pieces = text.split(placeholder) if placeholder else _PLACEHOLDER.split(text)
    return ".+".join(re.escape(piece) for piece in pieces)
