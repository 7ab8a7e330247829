"""Advice: each rule finds what was broken in exactly that way, and nothing in what is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from warmline.cli import main
from warmline.errors import Problem
from warmline.formfile import edited
from warmline.library import read_library, read_text
from warmline.lint import advice, advice_in
from warmline.livelibrary import MODELS, Kind
from warmline.rubric import Rubric
from warmline.yamlfile import read_values

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = read_library(ROOT / "personas", ROOT / "rubrics")

#: A field by its path, and what stands in it instead.
Changes = dict[tuple[str | int, ...], Any]


def changed(text: str, changes: Changes) -> str:
    """A file with other values in some fields, each found by its path."""
    values, _ = read_values(text, Path("file"))
    for path, value in changes.items():
        place: Any = values
        for part in path[:-1]:
            place = place[part]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value
    return edited(text, values)


def found(kind: Kind, item_id: str, changes: Changes) -> tuple[list[Problem], str]:
    """The advice on a shipped file with these changes, and its text; it has to be valid still."""
    entries = LIBRARY.personas if kind == "persona" else LIBRARY.rubrics
    text = changed(entries[item_id].text, changes)
    read = read_text(text, entries[item_id].file, MODELS[kind])
    assert read.problems == (), [str(one) for one in read.problems]
    return advice_in(kind, text, entries[item_id].file), text


def only(found: list[Problem], field: str) -> Problem:
    """The one piece of advice on a field."""
    (one,) = [one for one in found if one.field == field]
    return one


@pytest.mark.parametrize("entry", LIBRARY.personas.values(), ids=lambda entry: entry.item.id)
def test_no_shipped_persona_needs_advice(entry: Any) -> None:
    assert [(one.field, one.message) for one in advice(entry.item)] == []


@pytest.mark.parametrize("entry", LIBRARY.rubrics.values(), ids=lambda entry: entry.item.id)
def test_no_shipped_rubric_needs_advice(entry: Any) -> None:
    assert [(one.field, one.message) for one in advice(entry.item)] == []


SOFT = ("softens",)
HARD = ("hardens",)
LADDER = ("ladder",)


def fact(at: int, field: str) -> tuple[str | int, ...]:
    return ("facts", at, field)


def mood(name: str, *words: str) -> dict[str, Any]:
    lines = [f"{name} is what it is, said {one}, and there it ends." for one in ("Ann", "Bob")]
    return {"mood": name, "means": f"Just {name}.", "lines": [*words, *lines, f"All {name} now."]}


#: Two rungs above those of Dani's ladder.
SEVEN = [
    *(rung.model_dump() for rung in LIBRARY.personas["dani-stranded"].item.ladder),
    mood("glad", "Theo waves at the moon."),
    mood("singing", "We are both humming."),
]
CHECKS = len(LIBRARY.rubrics["core"].item.steps[0].checks)

#: What was broken, in which field it is said, and in which words.
PERSONAS: list[tuple[str, Changes, str, str]] = [
    (
        "too little softens: the best mood is out of reach",
        {SOFT: ["thanks"], ("difficulty",): 5, ("ending", "resolved", "after"): ["thanks"]},
        "ladder.4.mood",
        "even the kindest agent has only 12 replies",
    ),
    (
        "the customer leaves before they can get to the worst",
        {
            LADDER: SEVEN,
            ("start",): "glad",
            ("ending", "resolved", "mood"): "singing",
            ("ending", "longest", "turns"): 4,
            ("moments",): [],
        },
        "ladder.0.mood",
        "they have to leave or walk out before",
    ),
    (
        "a fact waits for a mood that is never reached",
        {
            SOFT: ["thanks"],
            ("difficulty",): 5,
            ("ending", "resolved", "after"): ["thanks"],
            fact(2, "from_mood"): "relieved",
        },
        "facts.2.from_mood",
        "it waits for 'relieved', which the customer never reaches",
    ),
    (
        "more is to be heard than there is time for",
        {
            ("ending", "longest", "turns"): 4,
            ("ending", "resolved", "mood"): "steadier",
            ("moments",): [],
            ("facts",): [
                {
                    "id": f"thing-{n}",
                    "says": f"There is a thing that nobody knows, and it is number 11{n}.",
                    "reveal": "when_heard",
                    "giveaways": [f"number 11{n}"],
                }
                for n in range(5)
            ],
        },
        "facts.4.reveal",
        "nothing releases it before the customer leaves",
    ),
    (
        "a fact is told once heard, and being heard does not soften",
        {SOFT: ["concrete_step", "reassures", "personal", "takes_ownership", "open_question"],
         ("ending", "resolved", "after"): ["concrete_step"]},
        "facts.4.reveal",
        "being heard does not soften them",
    ),
    (
        "a question that nobody would think of",
        {fact(2, "asked_about"): ["chandelier", "submarines"]},
        "facts.2.asked_about",
        "leads an agent to ask about “chandelier” or “submarines”",
    ),
    (
        "a moment after the customer has gone",
        {("moments", 0, "when"): {"turn": 12}},
        "moments.0.when.turn",
        "the customer has to go at reply 12",
    ),
    (
        "a moment at a mood that is never reached",
        {
            SOFT: ["thanks"],
            ("difficulty",): 5,
            ("ending", "resolved", "after"): ["thanks"],
            ("moments", 2, "when"): {"mood": "relieved"},
        },
        "moments.2.when.mood",
        "never at 'relieved'",
    ),
    (
        "a customer who cannot leave content, for want of a mood",
        {SOFT: ["thanks"], ("difficulty",): 5, ("ending", "resolved", "after"): ["thanks"]},
        "ending.resolved",
        "'relieved' is never reached",
    ),
    (
        "a customer who cannot leave content, for want of time",
        {
            ("difficulty",): 5,
            ("ending", "longest", "turns"): 5,
            ("ending", "resolved", "mood"): "tense",
            ("moments",): [],
        },
        "ending.resolved",
        "it takes at least 6 replies, and they stay for 5",
    ),
    (
        "content where they start",
        {("ending", "resolved", "mood"): "panicky"},
        "ending.resolved.mood",
        "no better than where they start",
    ),
    (
        "a customer who never walks out",
        {("ending", "walks_out", "worst_turns"): 10, ("ending", "longest", "turns"): 10},
        "ending.walks_out.worst_turns",
        "never walks out",
    ),
    (
        "another language",
        {("language",): "de"},
        "language",
        "heard in English only",
    ),
    (
        "a line that sounds like an agent, by a set phrase",
        {("ladder", 1, "lines", 0): "Thank you for your patience while I look into this for you."},
        "ladder.1.lines.0",
        "sounds like an agent",
    ),
    (
        "a line that sounds like an agent, without one",
        {("moments", 0, "says"): "I have arranged your hotel for tonight and a shuttle will collect you both shortly."},
        "moments.0.says",
        "sounds like an agent",
    ),
    (
        "a line that sounds like a machine",
        {("opening",): "As an AI language model I cannot sleep on a floor, where do we go?"},
        "opening",
        "sounds like a machine",
    ),
    (
        "a stage direction",
        {("ladder", 2, "lines", 1): "*sighs* I want to believe that, I honestly do"},
        "ladder.2.lines.1",
        "describes the customer",
    ),
    (
        "a label",
        {("ending", "longest", "line"): "Customer: my phone is going, bye now"},
        "ending.longest.line",
        "speaker's label",
    ),
    (
        "thanks at a bad mood",
        {("ladder", 0, "lines", 3): "You have been so kind, I feel so much better now."},
        "ladder.0.lines.3",
        "at 'frantic' the customer has not forgiven anything yet",
    ),
    (
        "forgiving at a bad mood, in other words",
        {("ladder", 1, "lines", 2): "What a weight off my mind, that is lovely of you, bless you."},
        "ladder.1.lines.2",
        "thanks or forgives",
    ),
    (
        "lines too alike",
        {("ladder", 2, "lines", 0): "the app is not going to say something different, I keep refreshing it"},
        "ladder.2.lines.0",
        "says much the same as",
    ),
    (
        "no short line",
        {
            ("ladder", 3, "lines"): [
                f"there is {one} that I would have told you about if only anybody had ever asked me "
                f"what {one} means to somebody like me and why"
                for one in ("a garden", "my brother", "this old coat")
            ]
        },
        "ladder.3.lines",
        "longer than 20 words",
    ),
    (
        "a brief that tells the hidden fact in other words",
        {("brief", "record", 4): "Dani's sister gives birth tomorrow at noon; Dani promised to be the partner."},
        "brief.record.4",
        "gives away the hidden fact 'sister'",
    ),
    (
        "a moment that tells a hidden fact",
        {("moments", 2, "says"): "there are eleven on the card until next week, so a room to pay later, no"},
        "moments.2.says",
        "gives away the hidden fact 'eleven-euros'",
    ),
    (
        "a sample that climbs two steps at once",
        {("samples", 1, "turns", 1, "mood"): "steadier"},
        "samples.1.turns.1.mood",
        "from 'panicky' to 'steadier' is 2 steps better at once",
    ),
    (
        "a sample that falls two steps at once",
        {("samples", 0, "turns", 3, "mood"): "tense", ("samples", 0, "turns", 5, "mood"): "frantic"},
        "samples.0.turns.5.mood",
        "2 steps worse at once",
    ),
    (
        "a kind sample that ends worse",
        {("samples", 1, "turns", n, "mood"): m for n, m in ((1, "panicky"), (3, "frantic"), (5, "frantic"))},
        "samples.1.turns.5.mood",
        "worse than it starts",
    ),
    (
        "a cold sample that ends better",
        {("samples", 0, "turns", n, "mood"): "tense" for n in (1, 3, 5)},
        "samples.0.turns.5.mood",
        "better than it starts",
    ),
    (
        "forgives too soon",
        {("difficulty",): 1, ("start",): "steadier"},
        "difficulty",
        "forgives too soon: a kind agent has them at 'relieved' with reply 2",
    ),
    (
        "softened by what costs nothing",
        {SOFT: ["curt", "deflects", "acknowledges_feeling", "concrete_step"], HARD: ["rude"],
         ("moments",): [], ("difficulty",): 1},
        "softens",
        "even a cold agent makes this customer better",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [case[1:] for case in PERSONAS],
    ids=[case[0] for case in PERSONAS],
)
def test_a_persona_broken_in_one_way(changes: Changes, field: str, words: str) -> None:
    problems, text = found("persona", "dani-stranded", changes)
    one = only(problems, field)
    assert words in one.message
    assert one.file == LIBRARY.personas["dani-stranded"].file
    # The line is that of the field, or of the nearest part of it that stands in the file.
    _, lines = read_values(text, one.file)
    path: tuple[str | int, ...] = tuple(
        int(part) if part.isdigit() else part for part in field.split(".")
    )
    while path not in lines:
        path = path[:-1]
    assert one.line == lines[path] > 1


RUBRICS: list[tuple[str, Changes, str, str]] = [
    ("a mark of nothing", {("pass_mark",): 0}, "pass_mark", "everybody passes"),
    ("a mark of all", {("pass_mark",): 100}, "pass_mark", "one level below the best"),
    ("a step that weighs nothing", {("steps", 3, "weight"): 0.05}, "steps.3.weight", "changes nothing"),
    (
        "a step that nothing knows",
        {
            ("steps", 0, "borrows"): [],
            **{("steps", 0, "checks", n, "signals"): [] for n in range(CHECKS)},
        },
        "steps.0.borrows",
        "only the language model judges this step",
    ),
    (
        "a statement instead of a question",
        {("steps", 1, "checks", 2, "ask"): "The agent is friendly."},
        "steps.1.checks.2.ask",
        "ask a question",
    ),
    (
        "a statement on what a step is for",
        {("steps", 2, "applies_when"): "The customer is upset."},
        "steps.2.applies_when",
        "ask a question",
    ),
    (
        "levels that say the same",
        {("steps", 0, "levels", 1, "means"): "The concern is heard.",
         ("steps", 0, "levels", 2, "means"): "The concern was heard."},
        "steps.0.levels.2.means",
        "says much the same as a level below",
    ),
    ("no example", {("steps", 4, "examples"): None}, "steps.4.examples", "add one pair"),
    (
        "examples without a difference",
        {("steps", 4, "examples", 0, "weak"): "I will do it myself today.",
         ("steps", 4, "examples", 0, "strong"): "Today I will do it myself!"},
        "steps.4.examples.0.strong",
        "make the difference plain",
    ),
    (
        "a fall for whoever does well",
        {("steps", 5, "direction"): "lower_is_better", ("steps", 5, "auto_fail_below"): 2},
        "steps.5.auto_fail_below",
        "fails whoever does well",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field", "words"), [case[1:] for case in RUBRICS], ids=[case[0] for case in RUBRICS]
)
def test_a_rubric_broken_in_one_way(changes: Changes, field: str, words: str) -> None:
    problems, _ = found("rubric", "core", changes)
    assert words in only(problems, field).message
    assert len(problems) == 1


def test_the_same_question_twice_is_counted_twice() -> None:
    ask = LIBRARY.rubrics["core"].item.steps[0].checks[0].ask
    problems, _ = found("rubric", "core", {("steps", 4, "checks", 1, "ask"): ask.upper()})
    assert "steps.0.checks.0" in only(problems, "steps.4.checks.1.ask").message


def test_too_much_for_the_model() -> None:
    core = LIBRARY.rubrics["core"].item
    steps = [
        step.model_copy(
            update={
                "id": f"{step.id}-{n}",
                "borrows": [],
                "checks": [
                    check.model_copy(update={"ask": f"{n}: {check.ask}"}) for check in step.checks
                ],
            }
        )
        for n in range(2)
        for step in core.steps
    ]
    rubric: Rubric = core.model_copy(update={"steps": steps})
    assert any("questions go to the language model" in one.message for one in advice(rubric))


def test_a_broken_file_has_problems_and_no_advice() -> None:
    assert advice_in("persona", "id: x", Path("x.yaml")) == []
    assert advice_in("rubric", "{", Path("x.yaml")) == []


def test_advice_stands_in_the_order_of_the_file() -> None:
    changes: Changes = {
        ("ending", "resolved", "mood"): "panicky",
        ("opening",): "As an AI language model I cannot sleep on a floor, where do we go?",
        ("ladder", 2, "lines", 1): "*sighs* I want to believe that, I honestly do",
    }
    problems, _ = found("persona", "dani-stranded", changes)
    assert [one.line for one in problems] == sorted(one.line for one in problems)
    assert len(problems) == 3


def test_every_mood_of_a_longer_ladder_can_be_reached() -> None:
    problems, _ = found("persona", "dani-stranded", {LADDER: SEVEN})
    assert [one.field for one in problems if "reply brings" in one.message] == []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("personas", "rubrics"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"WARMLINE_{name.upper()}_DIR", str(tmp_path / name))
    (tmp_path / "rubrics" / "core.yaml").write_text(LIBRARY.rubrics["core"].text, encoding="utf-8")
    return tmp_path


def put(folder: Path, changes: Changes) -> None:
    text = changed(LIBRARY.personas["dani-stranded"].text, changes)
    (folder / "personas" / "dani.yaml").write_text(text, encoding="utf-8")


def test_check_prints_advice_after_problems_and_stays_content(folder: Path) -> None:
    put(folder, {("ending", "resolved", "mood"): "panicky"})
    done = CliRunner().invoke(main, ["check"])
    assert done.exit_code == 0
    lines = done.output.splitlines()
    (said,) = [line for line in lines if line.startswith("advice: ")]
    assert "dani.yaml:" in said
    assert "ending.resolved.mood: the customer can leave content" in said
    assert "1 personas and 1 rubrics are usable." in done.output


def test_check_strictly_fails_for_advice(folder: Path) -> None:
    put(folder, {("ending", "resolved", "mood"): "panicky"})
    done = CliRunner().invoke(main, ["check", "--strict"])
    assert done.exit_code == 1
    assert "1 piece of advice" in done.output
    put(folder, {})
    done = CliRunner().invoke(main, ["check", "--strict"])
    assert (done.exit_code, "advice" in done.output) == (0, False)


def test_check_prints_problems_before_advice_and_fails(folder: Path) -> None:
    put(folder, {("ending", "resolved", "mood"): "panicky"})
    (folder / "personas" / "broken.yaml").write_text("id: x\n", encoding="utf-8")
    done = CliRunner().invoke(main, ["check"])
    assert done.exit_code == 1
    assert done.output.index("this field is missing") < done.output.index("advice: ")
