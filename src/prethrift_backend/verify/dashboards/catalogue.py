"""All dashboards, and the families that are on none."""

from __future__ import annotations

from typing import Final

from prethrift_backend.contracts import MetricsContract
from prethrift_backend.verify.dashboards.model import Page
from prethrift_backend.verify.dashboards.pages import database, endpoint, health, overview, search, telemetry

_MAKERS: Final = (
    overview.make_page,
    endpoint.make_page,
    search.make_page,
    database.make_page,
    health.make_page,
    telemetry.make_page,
)
_NO_WEBSOCKET: Final = "the backend serves no WebSocket: the panel would be empty for ever"
LEFT_OUT: Final = {
    "http_time_to_first_byte_seconds": "every answer of the backend is one piece: the panel would be empty for ever",
    "websocket_connections_open": _NO_WEBSOCKET,
    "websocket_connections_total": _NO_WEBSOCKET,
    "websocket_connection_duration_seconds": _NO_WEBSOCKET,
    "websocket_messages_total": _NO_WEBSOCKET,
}


def make_pages(contract: MetricsContract) -> tuple[Page, ...]:
    """Make all dashboards of the contract.

    Raises ContractError where a panel asks for a family, a label or a bucket that the contract has not.
    """
    return tuple(make(contract) for make in _MAKERS)
