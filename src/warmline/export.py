"""Transcripts as files: Markdown to read, JSON to work with (and for ``warmline grade``)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from warmline.edits import Edits
from warmline.errors import WarmlineError
from warmline.persona import Persona
from warmline.report import STATUS_WORDS, report_card
from warmline.sessions import SessionReader
from warmline.store import StoredGrade, StoredSession, StoredTurn
from warmline.tables import Table, as_csv


def file_stem(session: StoredSession) -> str:
    """A file name that says when and with whom; made of safe characters only."""
    safe = re.sub(r"[^a-z0-9-]+", "-", session.persona_id.lower()).strip("-")
    at = re.sub(r"[^0-9T]", "", session.created_at)[:15]
    return f"{at}-{safe}-{re.sub(r'[^a-zA-Z0-9]', '', session.id)[:8]}"


def as_json(
    session: StoredSession, turns: list[StoredTurn], persona: Persona, stored: StoredGrade | None
) -> dict[str, Any]:
    """A session as plain values; ``turns`` is what ``warmline grade`` reads."""
    return {
        "id": session.id,
        "persona": {"id": session.persona_id, "hash": session.persona_hash},
        "rubric": {"id": session.rubric_id, "hash": session.rubric_hash},
        "customer_name": persona.name,
        "status": session.status,
        "created_at": session.created_at,
        "finished_at": session.finished_at,
        "turns": [
            {
                "role": turn.role,
                "text": turn.text,
                "at": turn.created_at,
                **({"partial": True} if turn.partial else {}),
            }
            for turn in turns
        ],
        "grade": stored.grade if stored else None,
        "coaching": stored.coaching if stored else None,
    }


def _quoted(text: str) -> str:
    """A message as a Markdown quotation, so that nothing in it is read as Markdown structure."""
    escaped = re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", text)
    lines = (line.strip() for line in escaped.splitlines())
    # At the beginning of a line these would make a list, a rule or a heading.
    return "\n".join("> " + re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", line) for line in lines)


def as_markdown(
    session: StoredSession, turns: list[StoredTurn], persona: Persona, card: dict[str, Any] | None
) -> str:
    """A session as a page to read: the conversation, then the report card."""
    parts = [f"# {session.title}", f"{session.created_at} · {session.status}"]
    reply = 0
    for turn in turns:
        if turn.role == "agent":
            reply += 1
        who = persona.name if turn.role == "customer" else f"Agent (reply {reply})"
        cut = " (broken off)" if turn.partial else ""
        parts.append(f"**{who}**{cut}\n\n{_quoted(turn.text)}")
    if card is not None:
        parts.append(f"## {card['heading']}\n\n{card['summary']}")
        if card["total"] is not None:
            parts.append(f"Total: {card['total']} of 100 (mark to reach: {card['pass_mark']})")
        parts.extend(_coaching_parts(card["coaching"]))
        for step in card["steps"]:
            level = STATUS_WORDS.get(step["status"], "")
            if step["level"] is not None:
                level = f"{step['level']} of {step['highest']}"
            quotes = "\n\n".join(_quoted(quote["quote"]) for quote in step["evidence"])
            parts.append(
                f"### {step['name']}: {level}\n\n{step['means'] or step['reason']}\n\n{quotes}"
            )
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _coaching_parts(coaching: dict[str, Any]) -> list[str]:
    """The coaching as Markdown paragraphs."""
    parts = [
        f"### Done well: {one['name']}\n\n{_quoted(one['quote']['quote'])}\n\n{one['means']}"
        for one in coaching["strengths"]
    ]
    if following := coaching["next_step"]:
        parts.append(f"### To work on next: {following['name']}\n\n{following['why']}")
        if against := following["against"]:
            parts.append(_quoted(against["quote"]))
        parts.append(_quoted(following["moment"]))
    if rewritten := coaching["rewrite"]:
        parts.append(
            f"### One reply, another way\n\n{_quoted(rewritten['quote']['quote'])}\n\n"
            f"could say (a suggestion)\n\n{_quoted(rewritten['rewritten'])}"
        )
    return parts


async def export_session(reader: SessionReader, session_id: str, folder: Path) -> list[Path]:
    """Write one session as Markdown and JSON; returns the two files."""
    view = await reader.view(session_id)
    persona = await reader.persona_of(view.session)
    rubric = await reader.rubric_of(view.session)
    stored = await reader.store.grade(session_id)
    edits = await Edits(reader.store.database).of(session_id)
    card = report_card(stored, view.turns, persona, rubric.item, edits) if stored else None
    record = as_json(view.session, view.turns, persona, stored)
    return _write(
        folder / file_stem(view.session),
        as_markdown(view.session, view.turns, persona, card),
        json.dumps(record, indent=2, ensure_ascii=False) + "\n",
    )


def _write(stem: Path, page: str, record: str) -> list[Path]:
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = [stem.with_suffix(".md"), stem.with_suffix(".json")]
    for file, text in zip(files, (page, record), strict=True):
        # What people wrote is nobody's business but the owner's of the file.
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
    return files


#: The columns of a table of sessions, and their headings where it is printed.
_COLUMNS = {
    "id": "Id",
    "trainee": "Trainee",
    "title": "Conversation",
    "persona_id": "Customer",
    "rubric_id": "Rubric",
    "status": "Status",
    "created_at": "Started (UTC)",
    "finished_at": "Graded (UTC)",
    "total": "Total",
    "passed": "Passed",
    "unclear": "Unclear steps",
    "reviewed_at": "Reviewed (UTC)",
    "branch_of": "Goes on from",
}


def session_rows(sessions: Sequence[tuple[StoredSession, str]]) -> Table:
    """Sessions with their trainees' names as a table, one a row, without what was said."""
    rows = []
    for session, trainee in sessions:
        values = {**asdict(session), "trainee": trainee}
        rows.append([values[column] for column in _COLUMNS])
    return Table("Conversations", _COLUMNS, rows)


def session_table(sessions: Sequence[tuple[StoredSession, str]]) -> str:
    """The same as CSV; no cell of it is a formula."""
    return as_csv(session_rows(sessions))


def write_new(file: Path, text: str) -> None:
    """Write a new file that only its owner can read.

    Raises:
        WarmlineError: if there is a file of that name, which is left as it is, or it cannot be
            written.
    """
    if file.exists():
        raise WarmlineError(
            f"{file} is there already, and was left as it is. Name a new file, or move that one "
            "away."
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # What people wrote is nobody's business but the owner's, from the first byte on.
        file.touch(mode=0o600, exist_ok=False)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WarmlineError(f"{file} cannot be written: {error.strerror or error}.") from error
