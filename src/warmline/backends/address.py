"""How to reach a server."""

from __future__ import annotations

from typing import Any

import httpx

from warmline.address import is_loopback


def http_options(address: str, timeout_s: float, connect_s: float) -> dict[str, Any]:
    """What an HTTP client is made with to reach a server.

    Args:
        address: where the server listens.
        timeout_s: longest wait for the next bytes, in seconds.
        connect_s: longest wait for a connection, in seconds.
    """
    options: dict[str, Any] = {"timeout": httpx.Timeout(timeout_s, connect=connect_s)}
    if is_loopback(address):
        # A proxy set for the web must not get what is meant for this machine.
        options["trust_env"] = False
    return options
