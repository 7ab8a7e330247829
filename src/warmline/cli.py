"""The command line."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from tomllib import TOMLDecodeError
from typing import Any, ParamSpec, TextIO, TypeVar

import click
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from warmline.backends import Backend, OllamaBackend, make_backend, make_judge, show_progress
from warmline.customer.explain import drawing, explanation
from warmline.errors import ModelMissing, WarmlineError
from warmline.grader.fitting import fitted_head
from warmline.grader.grading import Grader, Looking, MemoryBook
from warmline.grader.learned import shipped_judge
from warmline.grader.scoring import Grade
from warmline.labelled import read_labelled
from warmline.library import Entry, Library, read_library, read_rubric
from warmline.practice import Practice, grader_for, make_practice
from warmline.report import STATUS_WORDS, report_card
from warmline.rubric import Rubric
from warmline.sessions import SessionReader
from warmline.settings import PROJECT, Settings
from warmline.simulation import AGENTS, Played, play
from warmline.store import Store
from warmline.transcript import Transcript, parse_transcripts, read_transcripts

P = ParamSpec("P")
T = TypeVar("T")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

#: Who practises in the terminal: the same local person as on the page.
LOCAL_USER = "you"

#: What `warmline bench grader` tries to fool the grader with.
ATTACKS = PROJECT / "benchmarks" / "attacks.yaml"


def _settings() -> Settings:
    try:
        return Settings()
    except (ValidationError, TOMLDecodeError, UnicodeDecodeError) as error:
        lines = [f"warmline.toml: {error}"]
        if isinstance(error, ValidationError):
            lines = [
                f"{'.'.join(map(str, item['loc']))}: {item['msg'].lower()}"
                for item in error.errors(include_url=False)
            ]
        raise WarmlineError(
            "A setting is wrong; look at warmline.toml and the WARMLINE_ variables.\n"
            + "\n".join(lines)
        ) from error


def _command(work: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an asynchronous command; a problem becomes its plain message and exit status 1."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            asyncio.run(work(*args, **kwargs))
        except WarmlineError as error:
            err.print(escape(str(error)))
            sys.exit(1)
        except KeyboardInterrupt:
            err.print("Stopped. What was said is kept.")
            sys.exit(130)

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="warmline")
def main() -> None:
    """Practise empathy with a simulated customer, on this machine, offline."""


@main.command()
@_command
async def serve() -> None:
    """Start the practice room and print its address.

    Example: WARMLINE_PORT=8080 warmline serve
    """
    from warmline.web import runtime
    from warmline.web.server import create_app, listen

    settings = _settings()
    err.print("Loading the language model…")
    parts = await runtime.start(settings, _backend)
    try:
        for problem in parts.library.problems:
            err.print(escape(str(problem)))
        out.print(parts.engine)
        address = f"http://{settings.host}:{settings.port}"
        await listen(
            create_app(settings),
            settings,
            ready=lambda: out.print(f"Warmline is open at {address}  (stop it with Ctrl+C)"),
        )
    finally:
        await runtime.stop()


@dataclass
class _Room:
    """What the terminal commands need, opened and closed together."""

    settings: Settings
    library: Library
    store: Store
    backend: Backend
    practice: Practice


@asynccontextmanager
async def _room(settings: Settings | None = None) -> AsyncIterator[_Room]:
    settings = settings or _settings()
    store = await Store.open(settings.database)
    try:
        library = read_library(settings.personas_dir, settings.rubrics_dir)
        backend = await _backend(settings)
        try:
            practice = await make_practice(settings, store, library, backend)
            try:
                yield _Room(settings, library, store, backend, practice)
            finally:
                await practice.close()
        finally:
            await backend.aclose()
    finally:
        await store.close()


@asynccontextmanager
async def _scratch_room() -> AsyncIterator[_Room]:
    """A room whose store is thrown away afterwards."""
    with TemporaryDirectory(prefix="warmline-") as folder:
        settings = _settings().model_copy(update={"transcripts_dir": Path(folder)})
        async with _room(settings) as room:
            yield room


async def _backend(settings: Settings) -> Backend:
    """The backend; a model that Ollama lacks is offered to be pulled."""
    try:
        with show_progress("The language model") as progress:
            return await make_backend(settings, progress)
    except ModelMissing as missing:
        if not sys.stdin.isatty() or not click.confirm(f"{missing}\nPull it now?"):
            raise
        ollama = OllamaBackend(settings)
        try:
            with show_progress(f"Pulling {missing.model}") as progress:
                async for step in ollama.pull():
                    progress(step.completed, step.total)
        finally:
            await ollama.aclose()
        return await make_backend(settings)


@main.command()
@click.argument("persona", required=False)
@click.option("--rubric", help="The rubric to be graded by; the persona's own by default.")
@_command
async def practise(persona: str | None, rubric: str | None) -> None:
    """Practise in the terminal. An empty line ends the conversation and gives the feedback.

    Example: warmline practise marjorie-bereavement
    """
    async with _room() as room:
        if persona is None:
            for entry in room.library.personas.values():
                out.print(escape(f"{entry.item.id}  {entry.item.title} ({entry.item.sector})"))
            raise WarmlineError("Choose one: warmline practise PERSONA")
        user = await room.store.user(LOCAL_USER)
        session_id = str(uuid.uuid4())
        view = await room.practice.begin(session_id, user.id, persona, rubric)
        brief = room.library.persona(persona).item.brief
        for title, lines in (
            ("The brief", [brief.situation]),
            ("The record", brief.record),
            ("You may", brief.may),
            ("You may not", brief.may_not),
        ):
            out.print(f"[bold]{title}[/bold]")
            for line in lines:
                out.print(escape(f"  {line}"))
        name = room.library.persona(persona).item.name
        out.print(escape(f"\n{name}: {view.turns[0].text}"))
        room.practice.warm_up(persona)
        while True:
            text = await asyncio.to_thread(_read_line)
            if not text:
                break
            await room.practice.say(session_id, text)
            out.print(escape(f"{name}: "), end="")
            async for sentence in room.practice.answer(session_id):
                out.print(escape(sentence), end="")
            out.print()
            view = await room.practice.view(session_id)
            if view.session.status == "over":
                out.print(f"({name} has left the chat.)")
                break
        await _finish(room, session_id)


@main.command()
@click.argument("persona")
@click.option("--drawing", "only_drawing", is_flag=True, help="Print only the Mermaid drawing.")
@_command
async def explain(persona: str, only_drawing: bool) -> None:
    """Say by which rules a customer is played: the ladder, what moves it, what is told when.

    Example: warmline explain marjorie-bereavement
    """
    settings = _settings()
    chosen = read_library(settings.personas_dir, settings.rubrics_dir).persona(persona).item
    if not only_drawing:
        for line in explanation(chosen):
            out.print(escape(line))
        out.print("\nAs a drawing, in Mermaid:\n")
    out.print(escape(drawing(chosen)))


@main.command()
@click.option("--persona", required=True, help="The customer's id.")
@click.option(
    "--agent",
    required=True,
    help=f"{', '.join(AGENTS)}, or a text file with one reply a line.",
)
@click.option(
    "--turns",
    default=12,
    type=click.IntRange(min=1),
    show_default=True,
    help="At most so many replies.",
)
@click.option("--seed", default=0, show_default=True, help="Another seed, other lines.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_command
async def simulate(persona: str, agent: str, turns: int, seed: int, as_json: bool) -> None:
    """Let a scripted agent talk with a customer, without a browser. Nothing of it is kept.

    Example: warmline simulate --persona marjorie-bereavement --agent kind
    """
    async with _scratch_room() as room:
        chosen = room.library.persona(persona).item
        played = await play(room.practice, chosen, agent, turns=turns, seed=seed)
    if as_json:
        click.echo(json.dumps(played.plain(), ensure_ascii=False))
        return
    out.print(escape(f"{chosen.name} ({chosen.start}): {played.opening}"))
    for turn in played.turns:
        out.print(escape(f"\nAgent: {turn.agent}"))
        source = "" if turn.source == "model" else f" [{turn.source}]"
        out.print(escape(f"{chosen.name} ({turn.mood}): {turn.customer}{source}"))
        for words in turn.rejected:
            out.print(escape(f"    held back, {words}"), style="dim")
    out.print(escape(f"\n{_ENDED[played.ended]} The mood at the end: {played.mood}."))


#: How a simulated conversation ended, in words.
_ENDED = {
    None: "The agent had no more to say.",
    "resolved": "The customer left content.",
    "walked_out": "The customer walked out.",
    "longest": "The customer ran out of time.",
}


def _read_line() -> str:
    try:
        return input("You: ").strip()
    except EOFError:
        return ""


async def _finish(room: _Room, session_id: str) -> None:
    async for step in room.practice.finish(session_id):
        if isinstance(step, Looking):
            err.print(escape(f"Looking at: {step.name}"))
        else:
            view = await room.practice.view(session_id)
            persona = await room.practice.persona_of(view.session)
            rubric = await room.practice.rubric_of(view.session)
            _print_card(report_card(step, view.turns, persona, rubric.item))


def _print_card(card: dict[str, Any]) -> None:
    out.print(f"\n[bold]{escape(card['heading'])}[/bold]\n{escape(card['summary'])}")
    if card["total"] is not None:
        out.print(f"{card['total']} of 100; the mark to reach is {card['pass_mark']}.")
    for line in card["failed_by"]:
        out.print(escape(line))
    coaching = card["coaching"]
    for strength in coaching["strengths"]:
        quote = strength["quote"]
        out.print(escape(f"\nWell done: {strength['name']}\n  “{quote['quote']}”"))
        out.print(escape(f"  {strength['means']}"))
    if following := coaching["next_step"]:
        out.print(escape(f"\nNext: {following['name']}. {following['why']} {following['moment']}"))
    if rewritten := coaching["rewrite"]:
        out.print(escape(f"\nYou wrote: “{rewritten['quote']['quote']}”"))
        out.print(escape(f"It could say: “{rewritten['rewritten']}” {rewritten['reason']}"))
    out.print()
    for step in card["steps"]:
        level = STATUS_WORDS.get(step["status"], "")
        if step["level"] is not None:
            level = f"{step['level']} of {step['highest']}"
        out.print(escape(f"{step['name']}: {level}. {step['means'] or step['reason']}"))
        for quote in step["evidence"]:
            out.print(escape(f"  “{quote['quote']}” (your reply {quote['reply']})"))
    out.print(escape(f"\n{card['trust']}"))


@main.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--rubric", "rubric_name", default="core", show_default=True, help="Id or file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a session.")
@_command
async def grade(file: Path, rubric_name: str, as_json: bool) -> None:
    """Grade a transcript: JSON, JSON lines, or Customer: / Agent: lines ('-' reads stdin).

    Example: warmline grade chat.txt --rubric nine-steps --json
    """
    settings = _settings()
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
        backend = await _backend(settings)
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


@main.command()
@click.option("--rubric", "rubric_name", default="core", show_default=True, help="Id or file.")
@click.option(
    "--labelled", type=click.Path(path_type=Path), required=True, help="JSON lines with labels."
)
@_command
async def calibrate(rubric_name: str, labelled: Path) -> None:
    """Fit the grader to expert labels: JSON lines of {"id", "turns", "labels": {step: level}}.

    Prints how well it agrees with labels it has not seen, each conversation held out once, and
    keeps the result for this rubric as it is now. Grading uses it from then on.

    Example: warmline calibrate --rubric core --labelled experts.jsonl
    """
    settings = _settings()
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


@main.group()
def bench() -> None:
    """Measure how good the grader and the customer are, by counts and agreements.

    Example: warmline bench grader --quick
    """


@bench.command("grader")
@click.option(
    "--experts",
    type=click.Path(path_type=Path, exists=True),
    help='JSON lines of {"id", "turns", "labels"} to compare with.',
)
@click.option(
    "--rubric",
    "rubric_name",
    default=str(PROJECT / "benchmarks" / "lend-an-ear.yaml"),
    show_default="benchmarks/lend-an-ear.yaml",
    help="The rubric of the experts' labels.",
)
@click.option("--ask-model", is_flag=True, help="Measure the language model too; takes an hour.")
@click.option("--quick", is_flag=True, help="Leave out the own labelled set, scene by scene.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_command
async def bench_grader(
    experts: Path | None, rubric_name: str, ask_model: bool, quick: bool, as_json: bool
) -> None:
    """Agreement with experts and with the own labelled set, pairs, attacks and cost.

    Example: warmline bench grader --experts experts.jsonl
    """
    from warmline.bench.run import GraderBench, lines

    settings = _settings()
    library = read_library(settings.personas_dir, settings.rubrics_dir)
    rubric = read_rubric(rubric_name, library)
    sessions = read_labelled(experts) if experts else []
    bench = GraderBench(library, settings.rubrics_dir / "labelled", ATTACKS, tell=err.print)
    await bench.without_model(rubric, sessions, own_set=not quick)
    if ask_model:
        backend = await _backend(settings)
        try:
            await bench.with_model(backend, rubric, sessions)
        finally:
            await backend.aclose()
    if as_json:
        click.echo(json.dumps(bench.found, ensure_ascii=False))
    else:
        for line in lines(bench.found):
            out.print(escape(line))


@bench.command("customer")
@click.option("--persona", "chosen", multiple=True, help="Only this one; can be given again.")
@click.option(
    "--agent", "chosen_agents", multiple=True, help=f"Only this one: {', '.join(AGENTS)}."
)
@click.option(
    "--turns",
    default=12,
    type=click.IntRange(min=1),
    show_default=True,
    help="At most so many replies a session.",
)
@click.option(
    "--lines",
    "file",
    type=click.File("w", encoding="utf-8", lazy=False),
    help="Keep every session as a line of JSON.",
)
@_command
async def bench_customer(
    chosen: tuple[str, ...], chosen_agents: tuple[str, ...], turns: int, file: TextIO | None
) -> None:
    """Every persona against six scripted agents on the model: what goes wrong, counted.

    Example: warmline bench customer --persona marjorie-bereavement --agent kind --agent cold
    """
    from warmline.bench.customer import lines, play_all

    async with _scratch_room() as room:
        ids = chosen or tuple(room.library.personas)
        personas = [room.library.persona(name).item for name in ids]

        def keep(played: Played) -> None:
            if file:
                file.write(json.dumps(played.plain(), ensure_ascii=False) + "\n")
                # At once, so that what was played is there when the run is stopped.
                file.flush()

        found = await play_all(
            room.practice,
            personas,
            chosen_agents or AGENTS,
            turns=turns,
            tell=err.print,
            keep=keep,
        )
    for line in lines(found):
        out.print(escape(line))


@main.command()
@_command
async def check() -> None:
    """Check every persona and rubric, and say each problem with its file and line.

    Example: warmline check
    """
    settings = _settings()
    library = read_library(settings.personas_dir, settings.rubrics_dir)
    for problem in library.problems:
        out.print(escape(str(problem)))
    out.print(f"{len(library.personas)} personas and {len(library.rubrics)} rubrics are usable.")
    if library.problems:
        raise WarmlineError(f"{len(library.problems)} problems. Mend them and check again.")


@main.command()
@_command
async def doctor() -> None:
    """Say which backend and model are in use, how fast they are here, and what is wrong.

    Example: warmline doctor
    """
    settings = _settings()
    library = read_library(settings.personas_dir, settings.rubrics_dir)
    out.print(f"Personas: {len(library.personas)}, rubrics: {len(library.rubrics)}")
    for problem in library.problems:
        out.print(escape(f"  {problem}"))
    store = await Store.open(settings.database)
    sessions = await store.sessions(limit=1_000_000)
    await store.close()
    out.print(escape(f"Database: {settings.database} ({len(sessions)} sessions)"))
    backend = await _backend(settings)
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


@main.command()
@click.option("--session", "session_id", help="One session's id; all sessions by default.")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path, file_okay=False), help="The folder to fill."
)
@_command
async def export(session_id: str | None, folder: Path | None) -> None:
    """Write transcripts as Markdown and JSON under transcripts/.

    Example: warmline export --to transcripts/june
    """
    from warmline.export import export_session

    settings = _settings()
    store = await Store.open(settings.database)
    try:
        reader = SessionReader(store)
        ids = [session_id] if session_id else [s.id for s in await store.sessions(limit=1_000_000)]
        target = folder or settings.transcripts_dir / "export"
        for one in ids:
            await export_session(reader, one, target)
    finally:
        await store.close()
    out.print(escape(f"Wrote {len(ids)} sessions to {target}"))
