"""Names that several modules of this package share; each exists once.

Names of metric families and their labels are promises of ``contracts/metrics.txt``; names of events and their fields
are promises of ``contracts/logs.txt``. A change here is a change there.
"""

from __future__ import annotations

from typing import Final

HTTP_REQUESTS_TOTAL: Final = "http_requests_total"
HTTP_REQUEST_DURATION_SECONDS: Final = "http_request_duration_seconds"
HTTP_REQUESTS_IN_PROGRESS: Final = "http_requests_in_progress"
HTTP_TIME_TO_FIRST_BYTE_SECONDS: Final = "http_time_to_first_byte_seconds"
HTTP_BACKGROUND_DURATION_SECONDS: Final = "http_background_duration_seconds"
WEBSOCKET_CONNECTIONS_OPEN: Final = "websocket_connections_open"
WEBSOCKET_CONNECTIONS_TOTAL: Final = "websocket_connections_total"
WEBSOCKET_CONNECTION_DURATION_SECONDS: Final = "websocket_connection_duration_seconds"
WEBSOCKET_MESSAGES_TOTAL: Final = "websocket_messages_total"
DB_STATEMENTS_PER_REQUEST: Final = "db_statements_per_request"
DB_STATEMENT_DURATION_SECONDS: Final = "db_statement_duration_seconds"
DB_POOL_WAIT_SECONDS: Final = "db_pool_wait_seconds"
DB_POOL_TIMEOUTS_TOTAL: Final = "db_pool_timeouts_total"
SEARCH_OPERATIONS_TOTAL: Final = "search_operations_total"
SEARCH_DURATION_SECONDS: Final = "search_duration_seconds"
EMBEDDING_OPERATIONS_TOTAL: Final = "embedding_operations_total"
EMBEDDING_DURATION_SECONDS: Final = "embedding_duration_seconds"
EMBEDDING_QUEUE_WAIT_SECONDS: Final = "embedding_queue_wait_seconds"
EMBEDDING_BATCH_SIZE: Final = "embedding_batch_size"
LOG_EVENTS_DROPPED_TOTAL: Final = "log_events_dropped_total"
TELEMETRY_ERRORS_TOTAL: Final = "telemetry_errors_total"
TELEMETRY_SPANS_DROPPED_TOTAL: Final = "telemetry_spans_dropped_total"
TELEMETRY_EXPORTS_TOTAL: Final = "telemetry_exports_total"
TELEMETRY_QUEUE_LENGTH: Final = "telemetry_queue_length"
TELEMETRY_ERROR_EVENTS_TOTAL: Final = "telemetry_error_events_total"
EVENT_LOOP_LAG_SECONDS: Final = "event_loop_lag_seconds"
EVENT_LOOP_STALLS_TOTAL: Final = "event_loop_stalls_total"

REQUEST_COMPLETED: Final = "request_completed"
REQUEST_FAILED: Final = "request_failed"
BACKGROUND_TASK_FAILED: Final = "background_task_failed"
WEBSOCKET_CLOSED: Final = "websocket_closed"
WEBSOCKET_FAILED: Final = "websocket_failed"
TELEMETRY_FAILED: Final = "telemetry_failed"
LOG_LINES_DROPPED: Final = "log_lines_dropped"
SPANS_DROPPED: Final = "spans_dropped"
EXPORT_FAILED: Final = "export_failed"
EXPORT_RECOVERED: Final = "export_recovered"
SEARCH_COMPLETED: Final = "search_completed"
EMBEDDING_COMPLETED: Final = "embedding_completed"
EVENT_LOOP_STALLED: Final = "event_loop_stalled"

# The endpoint label of a request that no route took: one value, whatever the path was.
UNMATCHED: Final = "__unmatched__"
# The method label of everything outside METHODS: a client may send any word as its method.
OTHER_METHOD: Final = "_OTHER"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# nginx's number for "the client closed the connection"; no RFC has one.
CLIENT_CLOSED_REQUEST: Final = 499

# The name of the logger that speaks for this package.
LOGGER: Final = "prethrift_backend.observability"
