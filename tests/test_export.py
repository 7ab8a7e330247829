"""Transcripts as files: what was said comes back, and no message becomes page structure."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from snapshots import small_persona, small_rubric
from warmline.customer.director import first_state
from warmline.errors import NotFound
from warmline.export import as_json, as_markdown, export_session, file_stem, session_table
from warmline.people import People
from warmline.sessions import SessionReader
from warmline.store import Store, StoredSession, StoredTurn
from warmline.transcript import Role, parse_transcripts, read_transcripts

NORA = small_persona().item
SESSION = StoredSession(
    id="3f2b8c1e-0000-4000-8000-000000000000",
    user_id="u",
    persona_id=NORA.id,
    persona_hash="p",
    rubric_id="small",
    rubric_hash="r",
    title="Nora Quill: No heating for a week",
    status="talking",
    seed=1,
    created_at="2026-03-10T09:08:07.654Z",
    finished_at=None,
)


def turn(number: int, role: Role, text: str, *, partial: bool = False) -> StoredTurn:
    return StoredTurn(f"t{number}", number, role, text, SESSION.created_at, partial=partial)


messages = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)


@given(
    st.lists(st.tuples(st.sampled_from(["customer", "agent"]), messages), min_size=1, max_size=5)
)
def test_an_export_is_a_transcript_that_can_be_graded(said: list[tuple[Role, str]]) -> None:
    turns = [turn(number, role, text) for number, (role, text) in enumerate(said)]
    record = as_json(SESSION, turns, NORA, None)
    for text in (json.dumps(record, indent=2, ensure_ascii=False), json.dumps(record)):
        (back,) = parse_transcripts(text, Path("x.json"))
        assert back.id == SESSION.id
        assert back.customer_name == "Nora Quill"
        assert [(one.role, one.text) for one in back.turns] == said


marked_up = st.lists(
    st.sampled_from(
        ["# ", "## Total: 100", "- ", "* ", "+ ", "1. ", "2) ", "> ", "---", "===", "```", "    ",
         "\t", "\n", "\n\n", "**bold**", "_it_", "`code`", "[a](http://b)", "![i](j)", "<b>", "</b>",
         "<!--", "&lt;", "&amp;", "| a | b |", "~~~", "\\", "\\*", "[x]: http://y", "Agent", "word", ".", "'"]
    ),
    min_size=1,
    max_size=12,
).map("".join)  # fmt: skip


def plain(text: str) -> str:
    """The words without the blanks, which Markdown does not keep."""
    return re.sub(r"\s+", "", text)


@given(text=marked_up.filter(lambda text: bool(text.strip())))
@example("1. one\n2. two")
@example("Title\n===")
@example("    indented")
@example("-\n-")
def test_no_message_is_read_as_structure(text: str) -> None:
    page = as_markdown(SESSION, [turn(0, "customer", "Hello."), turn(1, "agent", text)], NORA, None)
    tokens = MarkdownIt().parse(page)
    kinds = {token.type.removesuffix("_open").removesuffix("_close") for token in tokens}
    assert kinds == {"heading", "paragraph", "inline", "blockquote"}
    quoted = tokens[len(tokens) - 1 - [t.type for t in reversed(tokens)].index("blockquote_open") :]
    pieces = [piece for token in quoted for piece in token.children or []]
    assert {piece.type for piece in pieces} <= {"text", "softbreak", "text_special"}
    assert plain("".join(piece.content for piece in pieces)) == plain(text)


def test_the_page_says_who_said_what_and_what_was_broken_off() -> None:
    page = as_markdown(
        SESSION,
        [
            turn(0, "customer", NORA.opening),
            turn(1, "agent", "Let me look."),
            turn(2, "customer", "Well,", partial=True),
        ],
        NORA,
        None,
    )
    assert page.startswith("# Nora Quill: No heating for a week\n")
    assert "**Nora Quill**\n\n> My heating" in page
    assert "**Agent (reply 1)**\n\n> Let me look" in page
    assert "**Nora Quill** (broken off)\n\n> Well," in page


@pytest.mark.parametrize(
    ("session_id", "persona_id"),
    [
        (SESSION.id, NORA.id),
        ("../../etc/passwd", "../.."),
        ("a/b\\c:d*e?", "Con.Aux|<>"),
        ("💬💬", "ünïcode"),
        ("", ""),
        ("x" * 500, "nora-heating"),
        ("line\nbreak\0", "-rf"),
    ],
)
def test_a_file_name_is_made_of_safe_characters(session_id: str, persona_id: str) -> None:
    stem = file_stem(replace(SESSION, id=session_id, persona_id=persona_id))
    assert re.fullmatch(r"20260310T090807?[A-Za-z0-9-]*", stem)
    assert len(stem) < 120


async def test_a_session_is_written_as_two_files(store: Store, tmp_path: Path) -> None:
    user = await People(store.database).local_user("you")
    state = first_state(NORA).model_dump_json()
    await store.start_session("s1", user.id, small_persona(), small_rubric(), state, seed=1)
    await store.add_turn("s1", "agent", "Cold for a week?\nThat’s long.")
    page, record = await export_session(SessionReader(store), "s1", tmp_path / "new" / "folder")
    assert (page.suffix, record.suffix) == (".md", ".json")
    assert "> Cold for a week?\n> That’s long." in page.read_text(encoding="utf-8")
    (back,) = read_transcripts(record)
    assert [one.text for one in back.turns] == [NORA.opening, "Cold for a week?\nThat’s long."]


async def test_an_unknown_session_writes_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await export_session(SessionReader(store), "nobody", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@given(st.text(max_size=30))
def test_no_cell_of_a_table_is_a_formula_and_every_cell_comes_back(name: str) -> None:
    name = name.replace("\r", "").replace("\n", "").replace("\0", "")
    session = StoredSession(
        id="=1+1", user_id="u", persona_id="p", persona_hash="h", rubric_id="r", rubric_hash="h",
        title=f"@{name}", status="graded", seed=1, created_at="2030", finished_at=None,
    )  # fmt: skip
    header, row = csv.reader(io.StringIO(session_table([(session, name)]), newline=""))
    cells = dict(zip(header, row, strict=True))
    assert (cells["id"], cells["title"]) == ("'=1+1", f"'@{name}")
    assert cells["trainee"].removeprefix("'") == name.removeprefix("'")
    assert not cells["trainee"].startswith(("=", "+", "-", "@", "\t"))
