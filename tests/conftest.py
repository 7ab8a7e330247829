"""Shared fixtures. Unit tests use scripted models; the real one is asked for by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from served import browser
from warmline.backends import prepare_builtin, show_progress
from warmline.library import Library, read_library
from warmline.settings import PROJECT, Settings
from warmline.store import Store


@pytest.fixture(autouse=True)
def no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """No test depends on the machine's own settings, and none but browser tests serve real data."""
    import os

    for name in list(os.environ):
        if name.startswith("WARMLINE_") and name != "WARMLINE_CACHE_DIR":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def builtin_weights() -> Path:
    """The built-in model, fetched if it is not there yet."""
    with show_progress("The language model") as progress:
        return prepare_builtin(Settings().cache_dir, progress)


@pytest.fixture(scope="session")
def library() -> Library:
    """The shipped personas and rubrics."""
    return read_library(PROJECT / "personas", PROJECT / "rubrics")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store in a folder of its own."""
    opened = await Store.open(tmp_path / "warmline.db")
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """A headless Chromium."""
    with browser() as opened:
        yield opened
