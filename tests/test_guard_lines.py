"""The guard against 400 lines that were written and labelled without knowing its rules."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from warmline.customer.guard import GuardContext, objection
from warmline.grader.learned import shipped_judge
from warmline.library import read_library

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = read_library(ROOT / "personas", ROOT / "rubrics")

#: Of 100 lines of each label, so many must be told at least: what was measured, and a little less.
TOLD = {
    "in_role": 88,
    "agent": 70,
    "machine": 85,
    "stage": 95,
    "label": 100,
    "too_soon": 95,
    "invented": 95,
}


@pytest.fixture(scope="module")
def lines() -> list[dict[str, str]]:
    file = Path(__file__).with_name("guard_lines.tsv")
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE))


def told(lines: list[dict[str, str]]) -> dict[str, float]:
    """The share of lines of each label that the guard takes for what they are, in percent."""
    of: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for line in lines:
        persona = LIBRARY.persona(line["persona"]).item
        context = GuardContext(
            persona, line["mood"], said=(persona.opening,), voice=shipped_judge().voice
        )
        passes = objection(line["line"], context) is None
        of[line["label"]] += 1
        right[line["label"]] += passes == (line["label"] == "in_role")
    return {label: 100 * right[label] / of[label] for label in of}


def test_the_list_is_what_it_says(lines: list[dict[str, str]]) -> None:
    assert len(lines) >= 300
    assert len({line["line"] for line in lines}) == len(lines)
    assert {line["label"] for line in lines} == set(TOLD)
    assert {line["persona"] for line in lines} == set(LIBRARY.personas)
    for line in lines:
        assert line["mood"] in LIBRARY.persona(line["persona"]).item.moods


def test_the_guard_tells_them_apart(lines: list[dict[str, str]]) -> None:
    found = told(lines)
    short = {label: (found[label], least) for label, least in TOLD.items() if found[label] < least}
    assert not short, f"told, and told at least: {short}"
