"""The command line, with a scripted model behind it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from fakes import ScriptedBackend
from snapshots import small_rubric
from warmline.backends.base import Backend, YesNoQuestion
from warmline.cli import main
from warmline.errors import BackendError, BackendUnavailable
from warmline.settings import PROJECT, Settings

TALK = """\
Customer: My heating has been off for a week and the whole flat is freezing cold.
Agent: A week without heating, and the flat freezing cold: that must be miserable for you.
I'm so sorry.
Customer: It is. Nobody rings back.
Agent: I'll ring you tomorrow at 9 to tell you when the engineer comes. Does that suit you?
Customer: It does.
"""
ANSWERS = [
    "Well, that is more than the last one told me.",
    "Nobody has said such a thing to me all week.",
    "I keep looking at that statement, you know.",
    "It would be something to have it settled.",
    "Everybody else seems to get an answer from you.",
] * 3

Run = Callable[..., Result]


def likely(question: YesNoQuestion) -> float:
    return 0.5 if "Agent: Ok." in question.material else 0.9


@pytest.fixture
def backend() -> ScriptedBackend:
    return ScriptedBackend(continuations=ANSWERS, yes=likely)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: ScriptedBackend) -> Run:
    """Run a command in an empty folder, with the scripted model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WARMLINE_TRANSCRIPTS_DIR", str(tmp_path / "kept"))

    async def scripted(settings: Settings) -> Backend:
        return backend

    monkeypatch.setattr("warmline.cli.console.open_backend", scripted)

    def invoke(*args: str, input: str | None = None) -> Result:
        return CliRunner().invoke(main, args, input=input)

    return invoke


def records(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def plainly(result: Result, *words: str) -> None:
    """It ended with a plain message, and no traceback."""
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    for word in words:
        assert word in result.stderr


# Help


@pytest.mark.parametrize("name", main.commands)
def test_every_command_shows_an_example_of_itself(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    line = next(line for line in result.output.splitlines() if "Example:" in line)
    assert f"warmline {name}" in line


@pytest.mark.parametrize("name", main.commands)
def test_every_example_is_a_command_line_that_exists(name: str) -> None:
    command = main.commands[name]
    assert command.help is not None
    example = command.help.split("Example:")[1].strip().splitlines()[0]
    words = example.split(f"warmline {name}", 1)[1].split()
    with click.Context(command) as context:
        command.parse_args(context, words)


def test_the_help_and_the_version_need_nothing(run: Run) -> None:
    assert "practise" in run("--help").output
    assert run("--version").exit_code == 0


# Grading files


def test_a_graded_talk_has_the_documented_fields_and_the_agents_own_words(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "chat.txt").write_text(TALK, encoding="utf-8")
    result = run("grade", "chat.txt", "--json")
    assert result.exit_code == 0, result.output
    (record,) = records(result)
    assert {"id", "rubric", "total", "passed", "steps", "model"} <= record.keys()
    assert (record["id"], record["rubric"], record["model"]) == ("chat", "core", "scripted")
    assert record["total"] is None or 0 <= record["total"] <= 100
    assert record["steps"]
    quotes = []
    for step in record["steps"]:
        assert {"id", "status", "level", "checks", "evidence"} <= step.keys()
        assert step["status"] in {"graded", "not_applicable", "unclear"}
        assert (step["level"] is None) == (step["status"] != "graded")
        assert all(p is None or 0 <= p <= 1 for p in step["checks"].values())
        quotes += step["evidence"]
    assert quotes
    said = [block.split(": ", 1)[1] for block in TALK.replace("\nI'm", " I'm").splitlines()]
    for quote in quotes:
        assert quote["turn"] in (1, 3)
        assert quote["quote"] in said[quote["turn"]]


@pytest.mark.parametrize("rubric", ["nine-steps", str(PROJECT / "rubrics" / "nine-steps.yaml")])
def test_a_rubric_is_named_by_id_or_file(run: Run, rubric: str) -> None:
    (record,) = records(run("grade", "-", "--rubric", rubric, "--json", input=TALK))
    assert (record["id"], record["rubric"]) == ("stdin", "nine-steps")


def test_a_grade_reads_well_without_json(run: Run, backend: ScriptedBackend) -> None:
    result = run("grade", "-", input=TALK)
    assert result.exit_code == 0
    assert "stdin: " in result.stdout
    assert "turn 1: “" in result.stdout
    assert "Looking at: " in result.stderr
    assert backend.closed


def test_talks_of_one_name_do_not_share_their_answers(run: Run) -> None:
    turns = [
        {"role": line.split(": ")[0].lower(), "text": line.split(": ", 1)[1]}
        for line in TALK.replace("\nI'm", " I'm").splitlines()
    ]
    curt = [{**turn, "text": "Ok."} if turn["role"] == "agent" else turn for turn in turns]
    curt[1] = {"role": "agent", "text": "Ok, we shall see about it in due course then, madam."}
    lines = "\n".join(json.dumps({"id": "neutral", "turns": t}) for t in (turns, curt, turns))
    first, second, third = records(run("grade", "-", "--json", input=lines))
    assert {first["id"], second["id"], third["id"]} == {"neutral"}
    alone = json.dumps({"id": "neutral", "turns": curt})
    assert records(run("grade", "-", "--json", input=alone)) == [second]
    assert first == third != second


def test_one_talk_too_short_does_not_stop_the_others(run: Run) -> None:
    long = {
        "id": "long",
        "turns": [{"role": "agent", "text": "I am sorry about the cold flat."}] * 3,
    }
    short = {"id": "short", "turns": [{"role": "agent", "text": "Hi."}]}
    result = run("grade", "-", "--json", input=f"{json.dumps(short)}\n{json.dumps(long)}")
    plainly(result, "short: ", "1 of 2 could not be graded")
    by_id = {record["id"]: record for record in records(result)}
    assert by_id["short"]["status"] == "not_graded"
    assert "too little" in by_id["short"]["reason"]
    assert by_id["long"]["status"] == "graded"


@pytest.mark.parametrize(
    ("args", "text", "words"),
    [
        (["missing.txt"], None, "missing.txt:1: cannot be read"),
        (["-"], "hello", "stdin:1: begin each message"),
        (["-", "--rubric", "none"], TALK, "No rubric 'none'. There are: core"),
        (["-", "--rubric", "none.yaml"], TALK, "none.yaml:1: cannot be read"),
    ],
)
def test_what_cannot_be_graded_is_said_plainly(
    run: Run, args: list[str], text: str | None, words: str
) -> None:
    plainly(run("grade", *args, input=text), words)


def test_a_model_that_fails_gives_no_number(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(question: YesNoQuestion) -> float:
        raise BackendError("The model is away.")

    async def away(settings: Settings) -> Backend:
        return ScriptedBackend(yes=fails)

    monkeypatch.setattr("warmline.cli.console.open_backend", away)
    # A rubric of its own, so that the learned judge knows nothing of its steps.
    rubric = tmp_path / "own.yaml"
    rubric.write_text(small_rubric().text, encoding="utf-8")
    result = run("grade", "-", "--rubric", str(rubric), "--json", input=TALK)
    plainly(result, "The model is away.")
    (record,) = records(result)
    assert record["status"] == "not_graded"
    assert "total" not in record


# Practising


def practised(run: Run) -> Result:
    replies = [
        "I'm so sorry, Mrs Pell, that you were charged again for your husband's telephone.",
        "I will close the line myself today, and I'll write to you on Friday.",
        "",
    ]
    return run("practise", "marjorie-bereavement", input="\n".join(replies))


def test_a_conversation_can_be_held_in_the_terminal(run: Run, tmp_path: Path) -> None:
    result = practised(run)
    assert result.exit_code == 0, result.output
    assert "Marjorie Pell: Good afternoon." in result.stdout
    assert "The record" in result.stdout
    assert "mark to reach is 70" in result.stdout
    with sqlite3.connect(tmp_path / "kept" / "warmline.db") as db:
        assert db.execute("SELECT status FROM sessions").fetchall() == [("graded",)]
        assert db.execute("SELECT count(*) FROM turns").fetchone() == (5,)


def test_without_a_persona_those_there_are_are_listed(run: Run) -> None:
    result = run("practise")
    plainly(result, "Choose one")
    assert "marjorie-bereavement" in result.stdout


@pytest.mark.parametrize("args", [["nobody"], ["marjorie-bereavement", "--rubric", "nothing"]])
def test_an_unknown_name_is_answered_with_the_known_ones(run: Run, args: list[str]) -> None:
    plainly(run("practise", *args), "There are: ")


# Checking the files


def test_the_shipped_files_are_in_order(run: Run) -> None:
    result = run("check")
    assert result.exit_code == 0, result.output
    assert "usable" in result.stdout


def test_a_broken_file_is_named_with_line_and_field(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    text = (PROJECT / "personas" / "marjorie-bereavement.yaml").read_text(encoding="utf-8")
    broken = folder / "broken.yaml"
    broken.write_text(text.replace("difficulty: 3", "difficulty: 9"), encoding="utf-8")
    monkeypatch.setenv("WARMLINE_PERSONAS_DIR", str(folder))
    result = run("check")
    plainly(result, "1 problems")
    line = text.splitlines().index("difficulty: 3") + 1
    assert f"{broken}:{line}: difficulty: " in result.stdout
    assert "0 personas" in result.stdout


# Exporting


def test_every_session_is_exported_to_be_read_and_graded_again(run: Run, tmp_path: Path) -> None:
    practised(run)
    result = run("export")
    assert result.exit_code == 0, result.output
    (record,) = (tmp_path / "kept" / "export").glob("*.json")
    assert record.with_suffix(".md").is_file()
    session = json.loads(record.read_text(encoding="utf-8"))
    assert run("export", "--session", session["id"], "--to", "one").exit_code == 0
    assert len(list((tmp_path / "one").iterdir())) == 2
    (graded,) = records(run("grade", str(record), "--json"))
    assert graded["id"] == session["id"]
    assert graded["status"] == "graded"


def test_an_unknown_session_is_said_plainly(run: Run) -> None:
    plainly(run("export", "--session", "nobody"), "No session nobody")


# Doctor and settings


def test_the_doctor_names_the_model_and_its_speed(run: Run, backend: ScriptedBackend) -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.output
    for words in (
        "Personas: ",
        "warmline.db (0 sessions, sound)",
        "Backend: scripted",
        "Reads 100",
    ):
        assert words in result.stdout
    assert backend.closed


def test_a_backend_that_is_not_there_is_said_plainly(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(settings: Settings) -> Backend:
        raise BackendUnavailable("No Ollama answers here. Start it with: ollama serve")

    monkeypatch.setattr("warmline.cli.console.open_backend", none)
    plainly(run("doctor"), "ollama serve")
    plainly(run("grade", "-", input=TALK), "ollama serve")


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("port = 70000", "port: "),
        ("prot = 8000", "prot: "),
        ("port = = 1", "warmline.toml: "),
        ('backend = "gpt"', "backend: "),
    ],
)
def test_a_wrong_setting_is_named(run: Run, tmp_path: Path, toml: str, words: str) -> None:
    (tmp_path / "warmline.toml").write_text(toml, encoding="utf-8")
    plainly(run("check"), "A setting is wrong", words)


def test_a_database_that_is_none_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "warmline.db").write_text("not a database " * 100)
    plainly(run("export"), "warmline.db")


# Playing without a browser


def test_a_simulated_session_is_told_and_nothing_of_it_is_kept(run: Run, tmp_path: Path) -> None:
    result = run("simulate", "--persona", "dani-stranded", "--agent", "kind", "--turns", "2")
    assert result.exit_code == 0, result.output
    assert "Dani Moreau (panicky)" in result.stdout
    assert result.stdout.count("Agent: ") == 2
    assert "The mood at the end" in result.stdout
    assert not (tmp_path / "kept").exists()


def test_a_simulated_session_as_json(run: Run) -> None:
    result = run(
        "simulate", "--persona", "dani-stranded", "--agent", "cold", "--turns", "2", "--json"
    )
    (played,) = records(result)
    assert (played["persona"], played["agent"], played["model"]) == (
        "dani-stranded", "cold", "scripted",
    )  # fmt: skip
    assert len(played["turns"]) == 2
    assert set(played["turns"][0]) >= {"agent", "customer", "mood", "source", "rejected", "cues"}


def test_an_unknown_agent_or_persona_is_a_plain_message(run: Run) -> None:
    plainly(run("simulate", "--persona", "dani-stranded", "--agent", "nobody"), "choose kind")
    plainly(run("simulate", "--persona", "nobody", "--agent", "kind"), "nobody")


def test_a_persona_is_explained_in_words_and_as_a_drawing(run: Run) -> None:
    result = run("explain", "dani-stranded")
    assert "The ladder, worst first" in result.stdout
    assert "stateDiagram-v2" in result.stdout
    drawn = run("explain", "dani-stranded", "--drawing")
    assert drawn.stdout.startswith("stateDiagram-v2")
    plainly(run("explain", "nobody"), "nobody")


def test_the_customers_bench_counts_and_keeps_the_lines(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    result = run(
        "bench", "customer", "--persona", "dani-stranded", "--agent", "cold", "--agent", "silent",
        "--turns", "3", "--lines", str(file),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "2 sessions" in result.stdout
    assert [json.loads(line)["agent"] for line in file.read_text().splitlines()] == [
        "cold",
        "silent",
    ]


def test_a_file_for_the_lines_that_cannot_be_written_is_said_before_anything_is_played(
    run: Run, tmp_path: Path, backend: ScriptedBackend
) -> None:
    file = str(tmp_path / "no" / "such" / "lines.jsonl")
    result = run("bench", "customer", "--agent", "cold", "--lines", file)
    assert result.exit_code == 2
    assert file in result.stderr
    assert not backend.requests
    assert run("bench", "customer", "--turns", "0").exit_code == 2
    assert run("simulate", "--persona", "a", "--agent", "kind", "--turns", "0").exit_code == 2


@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_a_damaged_database_is_said_before_anything_else(
    run: Run, tmp_path: Path, command: str
) -> None:
    assert run("user", "add", "mira", input="a good long one\n").exit_code == 0
    file = tmp_path / "kept" / "warmline.db"
    whole = bytearray(file.read_bytes())
    # Two pages in the middle: the file opens, and what it holds does not fit together.
    whole[4096 * 3 : 4096 * 5] = b"\xff" * 8192
    file.write_bytes(whole)
    plainly(run(command), "is damaged", "warmline restore")
    assert file.read_bytes() == bytes(whole)


def test_backup_and_restore_say_where_things_are(run: Run, tmp_path: Path) -> None:
    assert run("user", "add", "mira", input="a good long one\n").exit_code == 0
    assert "keep it safe" in run("backup", "copies/one.db").output
    plainly(run("backup", "copies/one.db"), "there already")
    assert run("user", "add", "omar", input="a good long one\n").exit_code == 0
    restored = run("restore", "copies/one.db")
    assert restored.exit_code == 0
    assert "omar" not in run("user", "list").output
    plainly(run("restore", "copies/none.db"), "no such file", "Nothing was changed")
    (kept,) = (tmp_path / "kept").glob("warmline-before-*.db")
    assert kept.name in restored.output
    assert run("restore", str(kept)).exit_code == 0
    assert "omar" in run("user", "list").output
