"""The commands that grade and calibrate."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
from rich.markup import escape

from warmline.backends import make_judge
from warmline.cli import console
from warmline.cli.console import err, out
from warmline.errors import WarmlineError
from warmline.grader.fitting import fitted_head
from warmline.grader.grading import Grader, MemoryBook
from warmline.grader.scoring import Grade
from warmline.labelled import read_labelled
from warmline.library import Entry, read_library, read_rubric
from warmline.practice import grader_for
from warmline.report import STATUS_WORDS
from warmline.rubric import Rubric
from warmline.settings import Settings
from warmline.store import Store
from warmline.transcript import Transcript, parse_transcripts, read_transcripts


@console.main.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--rubric", "rubric_name", default="core", show_default=True, help="Id or file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a session.")
@console.command
async def grade(file: Path, rubric_name: str, as_json: bool) -> None:
    """Grade a transcript: JSON, JSON lines, or Customer: / Agent: lines ('-' reads stdin).

    Example: warmline grade chat.txt --rubric nine-steps --json
    """
    settings = console.settings()
    library = read_library(settings.personas_dir, settings.rubrics_dir)
    rubric = read_rubric(rubric_name, library)
    if str(file) == "-":
        transcripts = parse_transcripts(sys.stdin.read(), Path("stdin"))
    else:
        transcripts = read_transcripts(file)
    failed = 0
    async with _grader(settings, rubric) as grader:
        for number, transcript in enumerate(transcripts):
            try:
                await _grade_one(grader, rubric, transcript, number, as_json)
            except WarmlineError as error:
                failed += 1
                if as_json:
                    record = {
                        "id": transcript.id,
                        "rubric": rubric.item.id,
                        "status": "not_graded",
                        "reason": str(error),
                    }
                    click.echo(json.dumps(record, ensure_ascii=False))
                err.print(escape(f"{transcript.id}: {error}"))
    if failed:
        raise WarmlineError(f"{failed} of {len(transcripts)} could not be graded.")


@asynccontextmanager
async def _grader(settings: Settings, rubric: Entry[Rubric]) -> AsyncIterator[Grader]:
    """A grader for transcripts from files, with its calibrated head if there is one."""
    ask_all = settings.ask_checks == "always"
    store = await Store.open(settings.database)
    try:
        backend = await console.open_backend(settings)
        try:
            judge = await make_judge(settings, backend)
            try:
                yield await grader_for(store, judge, rubric, MemoryBook(), ask_all=ask_all)
            finally:
                if judge is not backend:
                    await judge.aclose()
        finally:
            await backend.aclose()
    finally:
        await store.close()


async def _grade_one(
    grader: Grader, rubric: Entry[Rubric], transcript: Transcript, number: int, as_json: bool
) -> None:
    # Answers are kept by id, and a file may use one id twice.
    own = transcript.model_copy(update={"id": f"{number}: {transcript.id}"})
    async for step in grader.grade(own):
        if isinstance(step, Grade):
            named = step.model_copy(update={"id": transcript.id})
            if as_json:
                record = {"status": "graded", **named.model_dump(mode="json")}
                click.echo(json.dumps(record, ensure_ascii=False))
            else:
                _print_grade(named)
        elif not as_json:
            err.print(escape(f"Looking at: {step.name}"))


def _print_grade(grade: Grade) -> None:
    total = "not enough to judge" if grade.total is None else f"{grade.total} of 100"
    passed = {True: "passed", False: "not passed", None: "no verdict"}[grade.passed]
    out.print(escape(f"{grade.id}: {total}, {passed} (mark {grade.pass_mark}, {grade.rubric})"))
    for step in grade.steps:
        level = (
            f"{step.level} of {step.highest}"
            if step.level is not None
            else STATUS_WORDS[step.status]
        )
        out.print(escape(f"  {step.name}: {level}. {step.means or step.reason}"))
        for quote in step.evidence:
            out.print(escape(f"    turn {quote.turn}: “{quote.quote}”"))


@console.main.command()
@click.option("--rubric", "rubric_name", default="core", show_default=True, help="Id or file.")
@click.option(
    "--labelled", type=click.Path(path_type=Path), required=True, help="JSON lines with labels."
)
@console.command
async def calibrate(rubric_name: str, labelled: Path) -> None:
    """Fit the grader to expert labels: JSON lines of {"id", "turns", "labels": {step: level}}.

    Prints how well it agrees with labels it has not seen, each conversation held out once, and
    keeps the result for this rubric as it is now. Grading uses it from then on.

    Example: warmline calibrate --rubric core --labelled experts.jsonl
    """
    settings = console.settings()
    rubric = read_rubric(rubric_name, read_library(settings.personas_dir, settings.rubrics_dir))
    sessions = read_labelled(labelled)
    async with _grader(settings, rubric) as grader:
        head = await fitted_head(grader, sessions)
    store = await Store.open(settings.database)
    try:
        await store.add_head(head.rubric, head.rubric_hash, head.judge, head.model_dump_json())
    finally:
        await store.close()
    out.print("Agreement with labels not seen (quadratic-weighted kappa, 95 % interval):")
    for step, agreement in head.agreement.items():
        out.print(escape(f"  {step}: {agreement}"))
    out.print(escape(f"  mean: {head.mean}"))
    out.print(escape(f"Kept for {head.rubric}, version {head.rubric_hash}."))
