"""What a Jaeger collector reads, decoded by classes that Thrift's own compiler made.

They are those of the wheel of OpenTelemetry's last Jaeger exporter. The exporter itself no longer imports beside a
current SDK, so that its generated package is loaded by its path.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import files
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support.http_receiver import Request
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer

_WHEEL = "opentelemetry-exporter-jaeger-thrift"
_PACKAGE = "jaeger_thrift_generated"


@cache
def generated_classes() -> ModuleType:
    """Return the module of Batch, Process, Span, Tag, Log and SpanRef."""
    found = next(path for path in files(_WHEEL) or [] if path.match("gen/jaeger/ttypes.py"))
    folder = Path(str(found.locate())).parents[1]
    # The modules import one another by relative names: they want a package around them, and get the folder as one.
    specification = importlib.util.spec_from_file_location(
        _PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert specification is not None
    sys.modules[_PACKAGE] = importlib.util.module_from_spec(specification)
    return importlib.import_module(f"{_PACKAGE}.jaeger.ttypes")


def decode(body: bytes) -> Any:
    """Return the Batch that these bytes are; every byte has to belong to it."""
    buffer = TMemoryBuffer(body)
    batch = generated_classes().Batch()
    batch.read(TBinaryProtocol(buffer))
    assert buffer._buffer.tell() == len(body), "bytes are left over behind the batch"
    batch.validate()
    return batch


def tag_values(tags: list[Any] | None) -> dict[str, Any]:
    """Return the value of each tag by its key, read from the field that its type names."""
    fields = {0: "vStr", 1: "vDouble", 2: "vBool", 3: "vLong", 4: "vBinary"}
    return {tag.key: getattr(tag, fields[tag.vType]) for tag in tags or []}


def spans_in(requests: Iterable[Request]) -> list[Any]:
    """Return every span of the batches that arrived, in order."""
    return [span for request in requests for span in decode(request.body).spans]
