"""The files that people write: the shipped ones are good, a broken one says where and what to do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmline.errors import FileProblems, NotFound
from warmline.library import read_library, read_rubric, text_hash
from warmline.persona import Persona
from warmline.rubric import Rubric
from warmline.yamlfile import LARGEST_FILE_BYTES, parse_yaml, read_values, read_yaml

ROOT = Path(__file__).resolve().parents[1]
PERSONA = (ROOT / "personas" / "marjorie-bereavement.yaml").read_text(encoding="utf-8")
RUBRIC = (ROOT / "rubrics" / "core.yaml").read_text(encoding="utf-8")


def test_the_shipped_files_have_no_problem() -> None:
    library = read_library(ROOT / "personas", ROOT / "rubrics")
    assert library.problems == []
    assert len(library.personas) >= 4
    assert {"core", "nine-steps"} <= set(library.rubrics)
    entry = library.persona("marjorie-bereavement")
    assert entry.hash == text_hash(PERSONA)
    assert entry.file.name == "marjorie-bereavement.yaml"


def swap(old: str, new: str) -> Callable[[str], str]:
    def swapped(text: str) -> str:
        assert text.count(old) >= 1, old
        return text.replace(old, new, 1)

    return swapped


def cut(start: str, end: str) -> Callable[[str], str]:
    """Leave out everything from ``start`` up to ``end``."""

    def shortened(text: str) -> str:
        first = text.index(start)
        return text[:first] + text[text.index(end, first) :]

    return shortened


def react(to: str, between: str, says: str) -> Callable[[str], str]:
    """Put one reaction in the place of all."""

    def reacting(text: str) -> str:
        one = f'reactions:\n  - to: [{to}]\n{between}    says: ["{says}"]\n'
        first = text.index("reactions:\n")
        return text[:first] + one + text[text.index("moments:\n", first) :]

    return reacting


#: What an author breaks; the field, a word that stands on the line named, and what the message says.
BREAKS = [
    ("persona", "not YAML", swap("facts:\n", "facts: [\n"), "", None, "check indents and quotes"),
    ("persona", "an unknown field", swap("sector:", "secktor:"), "secktor", "secktor:", "check the spelling or remove it"),
    ("persona", "a missing field", cut("sector:", "difficulty:"), "sector", None, "missing; add it"),
    ("persona", "a wrong type", swap("difficulty: 3", "difficulty: hard"), "difficulty", "difficulty:", "expected a whole number, found 'hard'"),
    ("persona", "a mood the ladder lacks", swap("start: hurt", "start: cross"), "start", "start:", "add it or rename"),
    ("persona", "starts at the top", swap("start: hurt", "start: comforted"), "start", "start:", "nothing to practise"),
    ("persona", "an unknown cue", swap("softens: [", "softens: [cuddles, "), "softens.0", "softens:", "no cue 'cuddles'; the cues are"),
    ("persona", "a cue that does both", swap("hardens: [", "hardens: [reassures, "), "softens.8", "softens:", "keep one"),
    ("persona", "an unaskable fact", cut("    asked_about: [bank", "    giveaways: [overdrawn"), "facts.3.asked_about", "- id: overdrawn", "list words that ask for it"),
    ("persona", "a hidden fact without giveaways", cut("    giveaways: [Susan", "ladder:"), "facts.5.giveaways", "- id: not-told-susan", "needs the words that would give it away"),
    ("persona", "a giveaway in the story", swap("on 3 June and was told", "with Susan on 3 June and was told"), "story", "story:", "reword it"),
    ("persona", "a giveaway in the record", swap("28 June: £18.50 taken", "28 June: overdrawn, £18.50 taken"), "brief.record.2", "overdrawn, £18.50", "reword it"),
    ("persona", "a giveaway on the ladder", swap("It isn't really the money", "Susan says it isn't the money"), "ladder.1.lines.4", "Susan says", "'Susan' gives away the hidden fact 'not-told-susan'"),
    ("persona", "a giveaway in a moment", swap("that was the kettle", "that was Susan"), "moments.0.says", "that was Susan", "reword it"),
    ("persona", "a giveaway at the end", swap("leave it in your hands", "ring his number no more"), "ending.resolved.line", "ring his number no more", "reword it"),
    ("persona", "a giveaway in a sample", swap("The quiet, mostly.", "The voicemail, mostly."), "samples.1.turns.3.customer", "The voicemail, mostly", "reword it"),
    ("persona", "a giveaway in another fact", swap("a young man told me", "Susan told me"), "facts.0.says", "Susan told me", "reword it"),
    ("persona", "a sample out of turn", cut('      - agent: "The system shows', '      - customer: "Nobody said a word'), "samples.0.turns.2", "Nobody said a word", "the agent first"),
    ("persona", "two speakers at once", swap('      - agent: "Hi. Account number?"\n', '      - agent: "Hi. Account number?"\n        mood: hurt\n'), "samples.0.turns.0", "Hi. Account number?", "an agent's has none"),
    ("persona", "two cold samples", swap("agent: kind", "agent: cold"), "samples", "samples:", "one kind"),
    ("persona", "a resolve that hurts", swap("after: [acknowledges_feeling", "after: [blames"), "ending.resolved.after.0", "after:", "wait for a cue that helps"),
    ("persona", "a resolve on no cue", swap("after: [acknowledges_feeling", "after: [hugs"), "ending.resolved.after.0", "after:", "no cue 'hugs'"),
    ("persona", "a resolve at no mood", swap("mood: comforted\n    after", "mood: merry\n    after"), "ending.resolved.mood", "mood: merry", "the ladder has no mood 'merry'"),
    ("persona", "a moment of two conditions", swap("when: {turn: 5}", "when: {turn: 5, mood: hurt}"), "moments.0.when", "turn: 5", "exactly one of turn, mood or cue"),
    ("persona", "a moment on no cue", swap("when: {cue: stock_phrase}", "when: {cue: hugs}"), "moments.1.when.cue", "cue: hugs", "no cue 'hugs'"),
    ("persona", "a reaction to no cue", react("hugs", "", "I see."), "reactions.0.to.0", "to: [hugs]", "no cue 'hugs'"),
    ("persona", "a reaction at no mood", react("nothing", "    from_mood: merry\n", "I see."), "reactions.0.from_mood", "from_mood: merry", "the ladder has no mood 'merry'"),
    ("persona", "a reaction between no moods", react("nothing", "    from_mood: softer\n    until_mood: hurt\n", "I see."), "reactions.0.until_mood", "until_mood: hurt", "turn the two round"),
    ("persona", "a reaction about something unasked", react("nothing", "    about: [bills]\n", "I see."), "reactions.0.about", "about: [bills]", "let `to` be [asked]"),
    ("persona", "a giveaway in a reaction", react("nothing", "", "Susan said so."), "reactions.0.says.0", "Susan said so", "reword it"),
    ("persona", "an id twice", swap("id: two-charges", "id: rang-in-june"), "facts.1", "- id: rang-in-june", "stands twice; rename one"),
    ("persona", "too few lines", cut('      - "I was a school secretary', "  - mood: hurt"), "ladder.0.lines", "lines:", "at least 3"),
    ("rubric", "an unknown signal", swap("signals: [paraphrases]", "signals: [telepathy]"), "steps.0.checks.0.signals.0", "telepathy", "no signal 'telepathy'; the signals are"),
    ("rubric", "a check twice", swap("id: right-detail", "id: says-back"), "steps.0.checks.1.id", "id: says-back", "stands twice; rename one"),
    ("rubric", "a step twice", swap("id: acknowledge\n", "id: listen\n"), "steps.1.id", "id: listen", "stands twice; rename one"),
    ("rubric", "levels out of order", swap("{score: 1, means", "{score: 9, means"), "steps.0.levels", "levels:", "lowest first"),
    ("rubric", "a limit out of range", swap("auto_fail_below: 2", "auto_fail_below: 9"), "steps.9.auto_fail_below", "auto_fail_below:", "or be left out"),
    ("rubric", "a number as text", swap("pass_mark: 70", 'pass_mark: "70"'), "pass_mark", "pass_mark:", "expected a whole number"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "what", "breaks", "field", "on_line", "says"),
    BREAKS,
    ids=[f"{row[0]}: {row[1]}" for row in BREAKS],
)
def test_a_break_is_named_with_file_line_field_and_what_to_do(
    kind: str, what: str, breaks: Callable[[str], str], field: str, on_line: str | None, says: str
) -> None:
    text, model = (PERSONA, Persona) if kind == "persona" else (RUBRIC, Rubric)
    text = breaks(text)
    with pytest.raises(FileProblems) as caught:
        parse_yaml(text, Path("mine.yaml"), model)
    lines = text.splitlines()
    problems = [p for p in caught.value.problems if p.field == field and says in p.message]
    assert problems, [str(p) for p in caught.value.problems]
    for problem in problems:
        assert problem.file == Path("mine.yaml")
        assert 1 <= problem.line <= len(lines)
        assert str(problem).startswith(f"mine.yaml:{problem.line}: ")
        assert "\n" not in str(problem)
    if on_line is not None:
        # The line of the key; the words may follow on the next, where the item begins.
        near = {"\n".join(lines[p.line - 1 : p.line + 1]) for p in problems}
        assert any(on_line in shown for shown in near), near


def test_every_problem_of_a_file_is_listed_at_once() -> None:
    text = PERSONA.replace("start: hurt", "start: cross").replace(
        "softens: [", "softens: [cuddles, "
    )
    with pytest.raises(FileProblems) as caught:
        parse_yaml(text, Path("mine.yaml"), Persona)
    assert {p.field for p in caught.value.problems} >= {"start", "softens.0"}


def test_a_broken_file_is_listed_and_the_others_are_used(tmp_path: Path) -> None:
    personas, rubrics = tmp_path / "personas", tmp_path / "rubrics"
    personas.mkdir()
    rubrics.mkdir()
    (rubrics / "core.yaml").write_text(RUBRIC, encoding="utf-8")
    (rubrics / "half.yaml").write_text("id: half\n", encoding="utf-8")
    (personas / "a.yaml").write_text(PERSONA, encoding="utf-8")
    (personas / "b.yaml").write_text(PERSONA, encoding="utf-8")
    (personas / "c.yaml").write_text(
        re.sub("^id: .*", "id: other", PERSONA, flags=re.M).replace("rubric: core", "rubric: half"),
        encoding="utf-8",
    )
    (personas / "d.yaml").write_bytes(b"id: \xff\xfe\n")
    (personas / "e.yaml").write_text("x" * (LARGEST_FILE_BYTES + 1), encoding="utf-8")
    (personas / "f.yaml").write_text("- a list\n", encoding="utf-8")
    (personas / "notes.txt").write_text("not a persona", encoding="utf-8")
    library = read_library(personas, rubrics)
    assert list(library.personas) == ["marjorie-bereavement"]
    assert list(library.rubrics) == ["core"]
    found = {p.file.name: p for p in library.problems if p.file.name != "half.yaml"}
    assert "also the id of a.yaml; rename" in found["b.yaml"].message
    assert "no usable rubric 'half'" in found["c.yaml"].message
    assert (
        "rubric:" in (personas / "c.yaml").read_text("utf-8").splitlines()[found["c.yaml"].line - 1]
    )
    assert "save it as UTF-8" in found["d.yaml"].message
    assert "make it smaller" in found["e.yaml"].message
    assert "expected fields" in found["f.yaml"].message
    assert any(p.file.name == "half.yaml" for p in library.problems)
    with pytest.raises(NotFound, match="There are: marjorie-bereavement"):
        library.persona("nobody")
    with pytest.raises(NotFound, match="There are: core"):
        read_rubric("half", library)
    assert read_rubric(str(rubrics / "core.yaml"), library).item.id == "core"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileProblems, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml", Rubric)


YAML_BITS = st.lists(
    st.sampled_from(
        ["id", ":", " ", "\n", "- ", "[", "]", "{", "}", "&a", "*a", "!!int ", "!x ", "|\n", ">", "'", '"', "#", "?", "<<", "1", "1e999",
         "2020-01-01", "null", "true", "~", "%", "@", "`", "\t", "facts", "ladder", "\x00", "é", "---\n", "...\n", ".nan", "0o7", "0x"]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(text=st.one_of(YAML_BITS, st.text(max_size=200)))
def test_no_text_crashes_the_reader(text: str) -> None:
    for model in (Persona, Rubric):
        with pytest.raises(FileProblems) as caught:
            parse_yaml(text, Path("mine.yaml"), model)
        assert caught.value.problems
        assert all(p.line >= 1 and p.message for p in caught.value.problems)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_to_a_good_file_crashes_the_reader(data: st.DataObject) -> None:
    lines = PERSONA.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at : at + data.draw(st.integers(0, 3))] = data.draw(st.lists(YAML_BITS, max_size=2))
    try:
        found: list[object] = [parse_yaml("\n".join(lines), Path("mine.yaml"), Persona)]
    except FileProblems as error:
        found = [p for p in error.problems if p.line >= 1 and p.message]
    assert found


@pytest.mark.parametrize(
    "text",
    ["[" * 3000, "a: &a [*a]", "a: &a {b: *a}", "id: " + "9" * 5000, "<<: {id: x}", "? [1, 2]\n: 3", "id: 1\nid: 2", "!!python/object:os.system x: 1"],
    ids=["deep", "cycle", "cycle in a map", "huge number", "merge", "list as a key", "key twice", "tag"],
)  # fmt: skip
def test_odd_yaml_is_a_problem_and_no_crash(text: str) -> None:
    with pytest.raises(FileProblems):
        parse_yaml(text, Path("mine.yaml"), Persona)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &a [x, x]\n" + "".join(f"k{n}: &k{n} [*{'k' + str(n - 1) if n else 'a'}, *{'k' + str(n - 1) if n else 'a'}]\n" for n in range(40)), "more than 50000 values"),
        ("a: 1\nb: " + "[" * 21, "more than 20 brackets are open here"),
        ("\n".join(f"k{n}: {'[' * 20}{']' * 20}" for n in range(50)), "this field is missing"),
    ],
    ids=["a text that stands for millions", "brackets in brackets", "many lists"],
)  # fmt: skip
def test_no_text_keeps_the_reader_busy(text: str, words: str) -> None:
    start = time.monotonic()
    with pytest.raises(FileProblems, match=words) as caught:
        parse_yaml(text, Path("mine.yaml"), Persona)
    assert time.monotonic() - start < 10
    if "brackets" in words:
        assert caught.value.problems[0].line == 2


def test_a_file_that_unfolds_to_much_text_is_refused(tmp_path: Path) -> None:
    text = "a: &a '" + "x" * 60_000 + "'\nb: [" + ", ".join(["*a"] * 5000) + "]\n"
    with pytest.raises(FileProblems, match="too much text"):
        read_values(text, tmp_path / "x.yaml")
