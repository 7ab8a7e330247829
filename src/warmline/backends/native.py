"""llama.cpp in process."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any


def start(model: Path, **parameters: Any) -> Any:
    """Load a model file; the ``xllamacpp.Server`` is returned once it can be closed again.

    ``parameters`` are those of ``xllamacpp.CommonParams``. Its own thread begins to work a moment
    after the constructor returns, and a server that is closed within that moment waits for the
    thread for ever. Its metrics come from that thread, so they are asked for here.

    Raises:
        RuntimeError: if the model cannot be loaded.
    """
    # Imported here, since it takes long and only models in process need it.
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.fit_params = False
    params.warmup = False
    # Nothing but errors, and those come back as messages: the terminal belongs to Warmline.
    params.verbosity = -1
    # The library also listens on a loopback port. Without a key any local program or web page
    # could use it.
    params.api_keys = [secrets.token_urlsafe(32)]
    params.ui = False
    params.endpoint_metrics = True
    for name, value in parameters.items():
        setattr(params, name, value)
    server = xllamacpp.Server(params)
    server.handle_metrics()
    return server
