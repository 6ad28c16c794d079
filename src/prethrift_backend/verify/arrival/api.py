"""The interfaces of Prometheus and Alertmanager, as far as `verify` reads them: JSON from one origin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final
from urllib.parse import urlencode

from prethrift_backend.exceptions import PrethriftError
from prethrift_backend.verify.findings import Signal
from prethrift_backend.verify.live.client import LiveClient, UnreachableError
from prethrift_backend.verify.live.scrape import LiveSample

ARRIVAL_ITEM: Final = "arrival"


class ForeignAnswerError(PrethriftError):
    """An answer that the program which was named does not give."""


@dataclass(frozen=True, slots=True)
class ArrivalFault:
    """One thing that has not arrived, or not as promised."""

    rule: str
    message: str
    _: KW_ONLY
    signal: Signal = "live"
    name: str = ARRIVAL_ITEM
    expected: str | None = None
    observed: object = None
    reproduce: str | None = None


@dataclass(frozen=True, slots=True)
class Api:
    """One program that is asked; ``token_name`` is the environment's name for its token."""

    program: str
    client: LiveClient
    token_name: str
    token: str | None = None

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the JSON that a path answers.

        Raises UnreachableError where it does not answer or wants a token, ForeignAnswerError where it is none.
        """
        query = f"?{urlencode(parameters)}" if parameters else ""
        answer = self.client.ask(path + query, token=self.token, headers={"Accept": "application/json"})
        where = f"{self.program} at {self.client.base_url}"
        if answer.status_code in (401, 403):
            raise UnreachableError(f"{where} answered {answer.status_code}: give its token in {self.token_name}")
        try:
            body = json.loads(answer.body)
        except (ValueError, RecursionError):
            body = None
        if answer.status_code != 200 or body is None:
            kind = answer.media_type or "no content type"
            raise ForeignAnswerError(f"{where} answered {path} with {answer.status_code} and {kind}")
        return body

    def data(self, path: str, **parameters: str) -> Mapping[str, Any]:
        """Return what Prometheus puts under ``data``; raises as `ask` does."""
        body = self.ask(path, **parameters)
        data = body.get("data") if isinstance(body, dict) and body.get("status") == "success" else None
        if not isinstance(data, dict):
            raise ForeignAnswerError(f"{self.program} at {self.client.base_url} answered {path} without data")
        return data

    def vector(self, query: str) -> list[LiveSample]:
        """Return the samples that an instant query finds; raises as `ask` does."""
        result = self.data("/api/v1/query", query=query).get("result")
        try:
            return [_sample(found) for found in result or ()]
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            what = f"{self.program} at {self.client.base_url} answered the query {query} with no vector"
            raise ForeignAnswerError(what) from error

    def curl(self, path: str, **parameters: str) -> str:
        """Return a command line that asks the same."""
        secret = f' -H "Authorization: Bearer ${self.token_name}"' if self.token else ""
        given = "".join(f" --data-urlencode '{name}={value}'" for name, value in parameters.items())
        return f"curl -sS{secret}{' -G' if given else ''} '{self.client.base_url}{path}'{given}"


def _sample(found: Mapping[str, Any]) -> LiveSample:
    labels = {str(name): str(value) for name, value in found["metric"].items()}
    return LiveSample(labels.pop("__name__", ""), labels, float(found["value"][1]))


def dictionaries(value: object) -> list[dict[str, Any]]:
    """Return the objects of a JSON array; what is none is passed over."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
