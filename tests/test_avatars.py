"""Avatars: initials, and never anybody's markup."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmline.web.avatars import COLOURS, initials_svg

SVG = "{http://www.w3.org/2000/svg}"


def letters(svg: str) -> str:
    """What is drawn; the picture has to be well-formed to be read at all."""
    root = ElementTree.fromstring(svg)
    assert [child.tag for child in root] == [f"{SVG}circle", f"{SVG}text"]
    return root[1].text or ""


@pytest.mark.parametrize(
    ("name", "initials"),
    [
        ("Nora Quill", "NQ"),
        ("marjorie", "M"),
        ("Your_coach", "YC"),
        ("Anna Maria de la Cruz", "AM"),
        ("Élodie Ñ", "ÉÑ"),
        ("", "?"),
        ("   ", "?"),
        ("<script> &amp;", "<&"),
        ('"> <svg/onload=x>', '"<'),
        ("{colour} {0}", "{{"),
    ],
)
def test_an_avatar_shows_up_to_two_initials(name: str, initials: str) -> None:
    assert letters(initials_svg(name)) == initials


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=30))
def test_any_name_makes_a_picture_without_markup_of_its_own(name: str) -> None:
    assert letters(initials_svg(name))


def test_a_name_keeps_its_colour() -> None:
    assert initials_svg("Nora") == initials_svg("Nora")
    drawn = {initials_svg(f"Person {n}").split('fill="')[1][:7] for n in range(60)}
    assert drawn == set(COLOURS)
