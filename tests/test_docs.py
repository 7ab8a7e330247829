"""What the pages in docs/ say of tests, settings and files is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from warmline.cli import main
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_exists(page: Path) -> None:
    blocks = re.findall(r"```(?:sh)?\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    for line in lines:
        _, program, words = line.partition("warmline ")
        # Settings may stand before it; anything else there is another program.
        if program and all("=" in word for word in line.split("warmline ")[0].split()):
            parsed(main, shlex.split(words))


def parsed(command: click.Command, words: list[str]) -> None:
    """A command line is one of ours.

    Raises:
        UsageError: if it is not.
    """
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            name, found, rest = command.resolve_command(context, words)
        assert found, name
        return parsed(found, rest)
    with click.Context(command) as context:
        command.parse_args(context, words)


def test_a_command_that_is_not_there_is_noticed() -> None:
    parsed(main, ["user", "forget", "mira"])
    for wrong in (["user", "forgive", "mira"], ["user", "forget"], ["export", "--xapi"], ["fly"]):
        with pytest.raises(click.UsageError):
            parsed(main, wrong)
