"""What the pages in docs/ say of tests, settings and files is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from warmline.settings import PROJECT, Settings

PAGES = sorted((PROJECT / "docs").glob("*.md"))
TESTS = PROJECT / "tests"


def test_every_threat_names_a_test_that_exists() -> None:
    rows = re.findall(
        r"^\|(?! threat| ---)(.*)\|$", (PROJECT / "docs/threat-model.md").read_text(), re.M
    )
    assert len(rows) >= 20
    for row in rows:
        named = re.search(r"`(test_\w+\.py)(?:::(\w+))?`\s*$", row)
        assert named, row
        text = (TESTS / named[1]).read_text(encoding="utf-8")
        if named[2]:
            assert re.search(rf"^(?:async )?def {named[2]}\(", text, re.M), named[0]


@pytest.mark.parametrize("page", [*PAGES, PROJECT / "README.md"], ids=lambda page: page.name)
def test_every_link_and_setting_of_a_page_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:|#|/)([^)#]+)", text):
        assert (page.parent / link).exists(), link
    for name in set(re.findall(r"WARMLINE_([A-Z_]+[A-Z])", text)):
        assert name.lower() in Settings.model_fields, name
