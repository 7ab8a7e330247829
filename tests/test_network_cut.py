"""Nothing leaves the machine: with the network cut, everything works."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def can_cut() -> bool:
    """Whether this machine lets us have a network namespace of our own."""
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run(["unshare", "--map-root-user", "--net", "true"], capture_output=True)
    return done.returncode == 0


@pytest.mark.model
@pytest.mark.browser
@pytest.mark.timeout(900)
@pytest.mark.skipif(not can_cut(), reason="no network namespace can be made here")
def test_with_the_network_cut_everything_works(builtin_weights: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, str(HERE / "network_cut.py"),
         str(tmp_path), str(builtin_weights)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    log = tmp_path / "server.log"
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{log.read_text()}"
    assert "all done without a network" in done.stdout
