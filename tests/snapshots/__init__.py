"""Prompts kept word for word, and the small persona and rubric that they are made with.

``UPDATE_SNAPSHOTS=1 pytest`` writes them anew; a changed text needs a new version constant first,
because a grade names the version of the prompt it was made with.
"""

from __future__ import annotations

import os
from pathlib import Path

from warmline.library import Entry, Library
from warmline.persona import Persona
from warmline.rubric import Rubric
from warmline.yamlfile import read_yaml

HERE = Path(__file__).parent


def assert_snapshot(name: str, version: str, text: str) -> None:
    """The text is the one kept under that name, and so is its version."""
    file = HERE / f"{name}.txt"
    heading = f"version: {version}\n"
    kept = file.read_text(encoding="utf-8") if file.exists() else ""
    now = f"{heading}{text}\n"
    if now != kept and os.environ.get("UPDATE_SNAPSHOTS"):
        assert not kept.startswith(heading), f"{name}: the text changed; give it a new version"
        file.write_text(now, encoding="utf-8")
        kept = now
    assert now == kept


def same_as_file(file: Path, text: str) -> None:
    """The text, made by running something, is the one in that file."""
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def small_persona() -> Entry[Persona]:
    """A customer with one fact of each kind, easily moved."""
    item, text = read_yaml(HERE / "persona.yaml", Persona)
    return Entry(item, HERE / "persona.yaml", text)


def small_rubric() -> Entry[Rubric]:
    """Four steps without detectors, of every scope and direction, and one for a no."""
    item, text = read_yaml(HERE / "rubric.yaml", Rubric)
    return Entry(item, HERE / "rubric.yaml", text)


def small_library() -> Library:
    """The small persona and rubric as a library."""
    persona, rubric = small_persona(), small_rubric()
    return Library({persona.item.id: persona}, {rubric.item.id: rubric})
