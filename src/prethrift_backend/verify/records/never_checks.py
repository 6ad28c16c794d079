"""What never occurs: keys and values that the NEVER lines of a contract name, at any depth of a line or a span."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from prethrift_backend.contracts import NeverWord
from prethrift_backend.observability.redaction import NAMED_RULES

# What redactions write in the place of a value: a word for it, in brackets or not, or a row of one sign.
_MASK: Final = re.compile(r"(?i)[\[(<]?(?:redacted|filtered|masked|hidden|removed|scrubbed|[*•.]{3,}|x{3,})[\])>]?")
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, slots=True)
class Leak:
    """A key or a value that must not be there: where it stands (``a.b``), and the word of the contract for it."""

    kind: Literal["key", "value"]
    path: str
    word: str


class NeverChecks:
    """The NEVER lines of one contract; what they do not name is allowed, whatever another team hides."""

    def __init__(self, keys: Iterable[NeverWord], values: Iterable[NeverWord]) -> None:
        self._keys = {word.name: _words(word.name) for word in keys}
        self._rules = {word.name: NAMED_RULES[word.name] for word in values}

    def leaks(
        self, tree: Mapping[str, object], *, promised: Collection[str] = (), patterned: Collection[str] = ()
    ) -> Iterator[Leak]:
        """Yield what the tree holds against the contract.

        A key is meant that is the word or ends with it (``db.password``, ``dbPassword``), whatever its case, unless
        it is one of ``promised`` at the top. A key whose value was taken out may stay. Of ``patterned`` fields the
        contract says the form, so that an id which happens to be the number of a card is one.
        """
        pending: list[tuple[str, object, bool]] = [("", tree, False)]
        while pending:
            path, value, is_patterned = pending.pop()
            if isinstance(value, str):
                yield from (Leak("value", path, word) for word in self._secrets(value, is_patterned=is_patterned))
            elif isinstance(value, Mapping):
                for key, inner in value.items():
                    inside = f"{path}.{key}" if path else key
                    word = None if not path and key in promised else self._word_of(key)
                    if word is not None and not _is_masked(inner):
                        yield Leak("key", inside, word)
                    else:
                        pending.append((inside, inner, not path and key in patterned))
            elif isinstance(value, list | tuple):
                pending += [(path, item, is_patterned) for item in value]

    def _word_of(self, key: str) -> str | None:
        words = _words(key)
        return next((name for name, ending in self._keys.items() if words[-len(ending) :] == ending), None)

    def _secrets(self, text: str, *, is_patterned: bool) -> Iterator[str]:
        for word, hide in self._rules.items():
            if not (is_patterned and word == "card-number") and hide(text) != text:
                yield word


def _words(key: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(key)]


def _is_masked(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, str) and _MASK.fullmatch(value) is not None)
