"""A process that is killed at any write leaves a database that is sound and a session that goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("power_loss.py")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_kill_at_any_write_loses_nothing_that_was_acknowledged_and_doubles_nothing() -> None:
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["problems"] == []
    # Before and after each statement that writes, and inside the writing itself.
    assert report["kills"]["before"] >= 150
    assert report["kills"]["after"] >= 80
    assert report["kills"]["inside"] >= 40
