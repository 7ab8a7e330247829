"""The commands that measure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

import click
from rich.markup import escape

from warmline.cli import console
from warmline.cli.console import err, out
from warmline.labelled import read_labelled
from warmline.library import read_library, read_rubric
from warmline.settings import PROJECT
from warmline.simulation import AGENTS, Played

#: What `warmline bench grader` tries to fool the grader with.
ATTACKS = PROJECT / "benchmarks" / "attacks.yaml"
#: Labelled whole sessions that no judge is ever trained on.
KEPT_BACK = PROJECT / "benchmarks" / "kept-back"


@console.main.group()
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
@console.command
async def bench_grader(
    experts: Path | None, rubric_name: str, ask_model: bool, quick: bool, as_json: bool
) -> None:
    """Agreement with experts and with the own labelled set, pairs, attacks and cost.

    Example: warmline bench grader --experts experts.jsonl
    """
    from warmline.bench.run import GraderBench, lines

    settings = console.settings()
    library = read_library(settings.personas_dir, settings.rubrics_dir)
    rubric = read_rubric(rubric_name, library)
    sessions = read_labelled(experts) if experts else []
    labelled = settings.rubrics_dir / "labelled"
    bench = GraderBench(library, labelled, ATTACKS, KEPT_BACK, tell=err.print)
    await bench.without_model(rubric, sessions, own_set=not quick)
    if ask_model:
        backend = await console.open_backend(settings)
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
@console.command
async def bench_customer(
    chosen: tuple[str, ...], chosen_agents: tuple[str, ...], turns: int, file: TextIO | None
) -> None:
    """Every persona against six scripted agents on the model: what goes wrong, counted.

    Example: warmline bench customer --persona marjorie-bereavement --agent kind --agent cold
    """
    from warmline.bench.customer import lines, play_all

    async with console.scratch_room() as room:
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
