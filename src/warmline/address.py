"""Addresses: which of them this machine alone can reach."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def with_scheme(address: str) -> str:
    """The address with ``http://`` in front if it names no scheme."""
    return address if "://" in address else f"http://{address}"


def is_loopback(address: str) -> bool:
    """Whether a host, with or without scheme and port, is this machine; no name is looked up."""
    try:
        name = address if _is_ip(address) else urlsplit(with_scheme(address)).hostname or ""
    except ValueError:
        # A bracket without its other half.
        return False
    return name == "localhost" or (_is_ip(name) and ipaddress.ip_address(name).is_loopback)


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
