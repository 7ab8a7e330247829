"""llama.cpp in process."""

from __future__ import annotations

from typing import Any


def started(params: Any) -> Any:
    """The ``xllamacpp.Server`` of these parameters, once it can be closed again.

    Its own thread begins to work a moment after the constructor returns, and a server that is
    closed within that moment waits for the thread for ever. Its metrics come from that thread.

    Raises:
        RuntimeError: if the model cannot be loaded.
    """
    # Imported here, since it takes long and only models in process need it.
    import xllamacpp

    params.endpoint_metrics = True
    server = xllamacpp.Server(params)
    server.handle_metrics()
    return server
