"""Everything a person does, where there is no network but the machine's own loopback.

Run inside a network namespace of its own; see ``test_network_cut.py``.
"""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import subprocess
import sys
from pathlib import Path

from served import Server, Traffic, browser, choose, lines, send, wait_for_answer
from warmline.settings import PROJECT

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1

REPLIES = [
    "I am so sorry that you are stranded there with your little boy. That sounds frightening.",
    "I will book you both a room at the airport hotel now, and you have the code in 10 minutes.",
]


def bring_loopback_up() -> None:
    """A new namespace has a loopback that is down, and nothing else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(handle, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def nothing_else_can_be_reached() -> None:
    with socket.socket() as handle:
        handle.settimeout(2)
        assert handle.connect_ex(("192.0.2.1", 443)) == errno.ENETUNREACH


def main(folder: Path, weights: str) -> None:
    bring_loopback_up()
    nothing_else_can_be_reached()
    server = Server(folder, {"WARMLINE_BACKEND": "embedded", "WARMLINE_EMBEDDED_MODEL": weights})
    server.start()
    try:
        with browser() as chrome:
            page = chrome.new_page()
            traffic = Traffic()
            traffic.watch(page)
            choose(page, server.address, "dani-stranded")
            for reply in REPLIES:
                before = len(lines(page, "customer"))
                send(page, reply)
                wait_for_answer(page, before)
            page.click("#wl-finish")
            page.wait_for_selector("[data-report]", timeout=300_000)
            print("graded:", page.get_attribute("[data-total]", "data-total"))
            for path in ("/your-data", "/desk"):
                page.goto(f"{server.address}{path}")
                assert "Dani Moreau" in page.inner_text("main")
            outside = [
                url
                for url in traffic.asked
                if not url.startswith((server.address, "ws://127.0.0.1", "data:", "blob:"))
            ]
            assert outside == [], outside
    finally:
        server.stop()
    environment = {
        "WARMLINE_TRANSCRIPTS_DIR": str(folder / "transcripts"),
        "WARMLINE_BACKEND": "embedded",
        "WARMLINE_EMBEDDED_MODEL": weights,
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
    }
    for command in (
        ["check"],
        ["backup", str(folder / "copy.db")],
        ["export"],
        ["grade", "examples/late-parcel.txt"],
    ):
        subprocess.run(
            [sys.executable, "-m", "warmline", *command], cwd=PROJECT, env=environment, check=True
        )
    print("all done without a network")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
