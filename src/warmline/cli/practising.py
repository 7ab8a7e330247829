"""The commands that play: the server, practice in the terminal, a scripted agent."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import click
from rich.markup import escape

from warmline.accounts import LOCAL_USER, Accounts
from warmline.cli import console
from warmline.cli.console import err, out
from warmline.customer.explain import drawing, explanation
from warmline.errors import WarmlineError
from warmline.grader.grading import Looking
from warmline.library import read_library
from warmline.people import People
from warmline.report import STATUS_WORDS, report_card
from warmline.simulation import AGENTS, play


@console.main.command()
@console.command
async def serve() -> None:
    """Start the practice room and print its address.

    Example: WARMLINE_PORT=8080 warmline serve
    """
    from warmline.web import runtime
    from warmline.web.server import create_app, listen

    settings = console.settings()
    err.print("Loading the language model…")
    parts = await runtime.start(settings, console.open_backend)
    try:
        for problem in parts.library.problems:
            err.print(escape(str(problem)))
        out.print(parts.engine)
        out.print(await _who_may_open(parts.accounts))
        address = f"http://{settings.host}:{settings.port}"
        await listen(
            create_app(settings),
            settings,
            ready=lambda: out.print(f"Warmline is open at {address}  (stop it with Ctrl+C)"),
        )
    finally:
        await runtime.stop()


async def _who_may_open(accounts: Accounts) -> str:
    if await accounts.people.accounts_exist():
        return "Everybody has to sign in. See the accounts: warmline user list"
    if accounts.loopback:
        return (
            "There are no accounts: whoever can open the page on this machine has every role. "
            "Make one: warmline user add NAME --role admin"
        )
    return (
        "Everybody has to sign in, because other machines can reach this address, and nobody can "
        "yet. Make an account: warmline user add NAME --role admin"
    )


@console.main.command()
@click.argument("persona", required=False)
@click.option("--rubric", help="The rubric to be graded by; the persona's own by default.")
@console.command
async def practise(persona: str | None, rubric: str | None) -> None:
    """Practise in the terminal. An empty line ends the conversation and gives the feedback.

    Example: warmline practise marjorie-bereavement
    """
    async with console.room() as room:
        if persona is None:
            for entry in room.library.personas.values():
                out.print(escape(f"{entry.item.id}  {entry.item.title} ({entry.item.sector})"))
            raise WarmlineError("Choose one: warmline practise PERSONA")
        user = await People(room.store.database).local_user(LOCAL_USER)
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
        room.practice.warm_up(view.session)
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


@console.main.command()
@click.argument("persona")
@click.option("--drawing", "only_drawing", is_flag=True, help="Print only the Mermaid drawing.")
@console.command
async def explain(persona: str, only_drawing: bool) -> None:
    """Say by which rules a customer is played: the ladder, what moves it, what is told when.

    Example: warmline explain marjorie-bereavement
    """
    settings = console.settings()
    chosen = read_library(settings.personas_dir, settings.rubrics_dir).persona(persona).item
    if not only_drawing:
        for line in explanation(chosen):
            out.print(escape(line))
        out.print("\nAs a drawing, in Mermaid:\n")
    out.print(escape(drawing(chosen)))


@console.main.command()
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
@console.command
async def simulate(persona: str, agent: str, turns: int, seed: int, as_json: bool) -> None:
    """Let a scripted agent talk with a customer, without a browser. Nothing of it is kept.

    Example: warmline simulate --persona marjorie-bereavement --agent kind
    """
    async with console.scratch_room() as room:
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


async def _finish(room: console.Room, session_id: str) -> None:
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
        if against := following["against"]:
            out.print(escape(f"  You wrote: “{against['quote']}”"))
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
