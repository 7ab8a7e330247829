"""The commands that look after things: files checked, machine examined, data written out."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean

import click
from rich.markup import escape

from warmline.backends import Backend, make_judge
from warmline.cli import console
from warmline.cli.console import out
from warmline.database import Database
from warmline.errors import WarmlineError
from warmline.export import export_session, write_new
from warmline.grader.grading import MemoryBook
from warmline.grader.learned import shipped_judge
from warmline.library import Library, read_library
from warmline.lint import advice_in
from warmline.people import People
from warmline.practice import grader_for
from warmline.review import Reviews
from warmline.sessions import SessionReader
from warmline.settings import Settings
from warmline.store import Store
from warmline.xapi import LOCAL_HOME, home_of, statements


@console.main.command()
@click.option("--strict", is_flag=True, help="Fail for advice as well.")
@console.command
async def check(strict: bool) -> None:
    """Check every persona and rubric, and say each problem with its file and line.

    What is valid and yet will not work as hoped is printed after it, as advice.

    Example: warmline check
    """
    settings = console.settings()
    library = read_library(settings.personas_dir, settings.rubrics_dir)
    for problem in library.problems:
        out.print(escape(str(problem)))
    found = [
        *(one for e in library.personas.values() for one in advice_in("persona", e.text, e.file)),
        *(one for e in library.rubrics.values() for one in advice_in("rubric", e.text, e.file)),
    ]
    for one in found:
        out.print(escape(f"advice: {one}"))
    out.print(f"{len(library.personas)} personas and {len(library.rubrics)} rubrics are usable.")
    if library.problems:
        raise WarmlineError(f"{len(library.problems)} problems. Mend them and check again.")
    if strict and found:
        pieces = "1 piece" if len(found) == 1 else f"{len(found)} pieces"
        raise WarmlineError(f"{pieces} of advice. Follow it, or check without --strict.")


@console.main.command()
@console.command
async def doctor() -> None:
    """Say which backend and model are in use, how fast they are here, and what is wrong.

    Example: warmline doctor
    """
    settings = console.settings()
    library = read_library(settings.personas_dir, settings.rubrics_dir)
    out.print(f"Personas: {len(library.personas)}, rubrics: {len(library.rubrics)}")
    for problem in library.problems:
        out.print(escape(f"  {problem}"))
    store = await Store.open(settings.database)
    try:
        await store.database.check()
        sessions = await store.sessions(limit=-1)
        accounts = [one for one in await People(store.database).all() if one.signs_in_with]
    finally:
        await store.close()
    out.print(escape(f"Database: {settings.database} ({len(sessions)} sessions, sound)"))
    out.print(f"Accounts: {len(accounts) or 'none, whoever opens the page here has every role'}")
    backend = await console.open_backend(settings)
    try:
        out.print(escape(f"Backend: {backend.name}"))
        out.print(escape(f"Model: {backend.model} (digest {backend.digest[:16]})"))
        out.print(f"Context: {backend.context_length} tokens a conversation")
        speed = await backend.measure_speed()
        out.print(f"Reads {speed.reads:.0f} and writes {speed.writes:.0f} tokens a second here.")
        judge = await make_judge(settings, backend)
        out.print(escape(f"Checks are answered by: {judge.name}, {judge.model}"))
        if judge is not backend:
            await judge.aclose()
        learned = shipped_judge()
        out.print(
            f"Learned judge: {learned.about['exchanges']} labelled replies; on scenes it had not "
            f"seen {100 * learned.within_one:.0f} of 100 levels within one of the label, mean "
            f"weighted kappa {fmean(learned.agreement.values()):.2f}"
        )
        await _say_heads(settings, library, backend)
    finally:
        await backend.aclose()


async def _say_heads(settings: Settings, library: Library, backend: Backend) -> None:
    """For each rubric, how far its grade is to be trusted here."""
    store = await Store.open(settings.database)
    try:
        for name, rubric in library.rubrics.items():
            own = sum(bool(step.borrows) for step in rubric.item.steps)
            grader = await grader_for(
                store, backend, rubric, MemoryBook(), ask_all=settings.ask_checks == "always"
            )
            fitted = (
                f"calibrated on {grader.head.sessions} conversations, kappa {grader.head.mean}"
                if grader.head
                else "not calibrated on labels of its own"
            )
            out.print(
                escape(
                    f"Rubric {name}: the judge knows {own} of {len(rubric.item.steps)} steps, "
                    f"the rest are the model's; {fitted}"
                )
            )
    finally:
        await store.close()


@console.main.command()
@click.option("--session", "session_id", help="One session's id; all sessions by default.")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path, file_okay=False), help="The folder to fill."
)
@click.option(
    "--xapi",
    "statements_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the results as xAPI statements to this new file, and no transcript.",
)
@console.command
async def export(session_id: str | None, folder: Path | None, statements_file: Path | None) -> None:
    """Write transcripts as Markdown and JSON under transcripts/, or results for a record store.

    Example: warmline export --to transcripts/june
    """
    if folder and statements_file:
        raise WarmlineError("Transcripts go to a folder, statements to a file: --to or --xapi.")
    settings = console.settings()
    store = await Store.open(settings.database)
    try:
        reader = SessionReader(store)
        if statements_file:
            await _write_statements(reader, session_id, statements_file, settings.public_url)
            return
        ids = [session_id] if session_id else [s.id for s in await store.sessions(limit=1_000_000)]
        target = folder or settings.transcripts_dir / "export"
        for one in ids:
            await export_session(reader, one, target)
    finally:
        await store.close()
    out.print(escape(f"Wrote {len(ids)} sessions to {target}"))


async def _write_statements(
    reader: SessionReader, session_id: str | None, file: Path, public_url: str | None
) -> None:
    """Every graded session's result, or one's, as xAPI statements in a new file."""
    # Results that an older version of Warmline did not count step by step.
    await Reviews(reader).count_up()
    if session_id:
        sessions = [await reader.store.session(session_id)]
    else:
        sessions = await reader.store.sessions(limit=-1)
    names = {user.id: user.identifier for user in await People(reader.store.database).all()}
    made = await statements(
        reader,
        # Whoever runs the machine can read everything anyway.
        [(one, names[one.user_id], True) for one in sessions if not one.draft],
        home_of(public_url),
    )
    write_new(file, json.dumps(made, indent=2, ensure_ascii=False) + "\n")
    out.print(escape(f"Wrote {len(made)} statements to {file}. They hold names and results."))
    if public_url is None:
        out.print(
            f"They say that the accounts are those of {LOCAL_HOME}. Set WARMLINE_PUBLIC_URL before "
            "you send them to a store that others send to as well."
        )


@console.main.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@console.command
async def back_up(file: Path) -> None:
    """Write a whole, checked copy of the database, also while the server runs.

    Example: warmline backup backups/2030-05-01.db
    """
    database = await Database.open(console.settings().database)
    try:
        await database.back_up(file)
    finally:
        await database.close()
    out.print(escape(f"Wrote {file}. It holds what people wrote: keep it safe."))


@console.main.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@console.command
async def restore(file: Path) -> None:
    """Bring back what a backup holds, also while the server runs. What is there now is kept aside.

    Example: warmline restore backups/2030-05-01.db
    """
    database = await Database.open(console.settings().database)
    try:
        before = await database.restore(file)
    finally:
        await database.close()
    out.print(escape(f"Restored. What was there before is in {before}."))
