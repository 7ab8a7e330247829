"""The rules of a persona in words and as a drawing: all of them, and those that are played."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from warmline.customer.director import PATIENCE, POINTS_FOR_A_STEP
from warmline.customer.explain import CUE_WORDS, drawing, explanation
from warmline.detectors import CUES
from warmline.library import read_library
from warmline.persona import Persona

ROOT = Path(__file__).resolve().parents[1]
PERSONAS = [
    entry.item for entry in read_library(ROOT / "personas", ROOT / "rubrics").personas.values()
]


def test_every_cue_has_words() -> None:
    assert set(CUE_WORDS) == CUES


@pytest.mark.parametrize("persona", PERSONAS, ids=lambda persona: persona.id)
def test_everything_a_trainer_wrote_is_explained(persona: Persona) -> None:
    text = "\n".join(explanation(persona))
    for rung in persona.ladder:
        assert f"{rung.mood}: {rung.means}" in text
    for fact in persona.facts:
        assert fact.id in text
        assert fact.says in text
    for moment in persona.moments:
        assert moment.says in text
    for reaction in persona.reactions:
        assert all(line in text for line in reaction.says)
    for cue in (*persona.softens, *persona.hardens):
        assert f"{CUE_WORDS[cue]} ({cue})" in text
    assert f"{POINTS_FOR_A_STEP[persona.difficulty]} points are a step" in text
    assert f"{PATIENCE[persona.difficulty]} replies in a row" in text
    assert f"after {persona.ending.longest.turns} replies" in text


@pytest.mark.parametrize("persona", PERSONAS, ids=lambda persona: persona.id)
def test_the_drawing_joins_every_mood(persona: Persona) -> None:
    lines = drawing(persona).splitlines()
    assert lines[0] == "stateDiagram-v2"
    names = [mood.replace("-", "_") for mood in persona.moods]
    for lower, higher in pairwise(names):
        assert any(line.startswith(f"    {lower} --> {higher}:") for line in lines)
        assert any(line.startswith(f"    {higher} --> {lower}:") for line in lines)
    assert f"    [*] --> {persona.start.replace('-', '_')}" in lines
    for fact in persona.facts:
        if fact.from_mood:
            assert any(line.endswith(f"from here on, {fact.id}") for line in lines)
