"""Transcripts come in three forms, and every problem in one has its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from warmline.errors import FileProblems, Problem
from warmline.transcript import (
    LONGEST_MESSAGE,
    LONGEST_TRANSCRIPT,
    Transcript,
    parse_transcripts,
    read_transcripts,
)

FILE = Path("talks/monday.txt")
TURNS = [
    {"role": "customer", "text": "My heating is off."},
    {"role": "agent", "text": "A week?\nThat is long."},
]


def one(text: str) -> Transcript:
    (transcript,) = parse_transcripts(text, FILE)
    return transcript


def said(transcript: Transcript) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in transcript.turns]


SAID = [("customer", "My heating is off."), ("agent", "A week?\nThat is long.")]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Customer: My heating is off.\nAgent: A week?\nThat is long.\n", "monday"),
        ("\ufeffcustomer:My heating is off.\r\nAGENT:  A week?\r\nThat is long.\r\n\r\n", "monday"),
        ("\n\n  Customer: My heating is off.\n\n Agent : A week?\nThat is long.", "monday"),
        (json.dumps({"id": "a", "turns": TURNS}), "a"),
        (json.dumps({"id": "a", "turns": TURNS}, indent=2), "a"),
        ("\ufeff" + json.dumps({"id": "a", "turns": TURNS, "grade": {"total": 3}}), "a"),
        (json.dumps([{"id": "a", "turns": TURNS}]), "a"),
    ],
    ids=["plain", "plain from Windows", "plain and untidy", "JSON", "JSON over many lines",
         "an export with more in it", "a JSON list"],
)  # fmt: skip
def test_the_same_talk_is_read_from_every_form(text: str, name: str) -> None:
    transcript = one(text)
    assert transcript.id == name
    assert said(transcript) == SAID


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["without", "with a byte order mark"])
def test_json_lines_are_one_talk_a_line(mark: str) -> None:
    text = mark + "\n".join(
        json.dumps({"id": name, "turns": TURNS}, ensure_ascii=False) for name in ("a", "b")
    )
    assert [t.id for t in parse_transcripts(f"{text}\n\n", FILE)] == ["a", "b"]


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85"])
def test_an_odd_line_break_belongs_to_the_message(odd: str) -> None:
    turns = [{"role": "agent", "text": f"one{odd}two"}]
    lines = "\n".join(
        json.dumps({"id": name, "turns": turns}, ensure_ascii=False) for name in ("a", "b")
    )
    for transcript in [*parse_transcripts(lines, FILE), one(f"Agent: one{odd}two")]:
        assert said(transcript) == [("agent", f"one{odd}two")]


def test_a_label_inside_a_line_is_only_words() -> None:
    assert said(one("Agent: She wrote Customer: no.\nAgents: two")) == [
        ("agent", "She wrote Customer: no.\nAgents: two")
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "no messages"),
        ("\n\nhello\nAgent: hi", 3, "begin each message"),
        ("Agent:\nCustomer:   \n", 1, "no messages"),
        ("[]", 1, "no transcripts"),
        ('{"id": "a", "turns": []}', 1, "turns"),
        ('{"id": "a", "turns": [{"role": "boss", "text": "x"}]}', 1, "turns.0.role"),
        ('{"turns": [{"role": "agent", "text": "x"}]}', 1, "id"),
        ('{"id": "a", "turns": [{"role": "agent", "text": "x"}]}\n{"id": "b"}', 2, "turns"),
        ('{"id": "a", "turns": [{"role": "agent", "text": "x"}]}\n\n{oops', 3, "not valid JSON"),
        ('{\n  "id": "a",\n  "turns": [oops]\n}', 3, "not valid JSON"),
        ("[1, 2]", 1, "object"),
        ('{"id": "a", "turns": [{"role": "agent", "text": "\\ud800"}]}', 1, "turns.0.text"),
    ],
)
def test_a_problem_names_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(FileProblems) as caught:
        parse_transcripts(text, FILE)
    assert caught.value.problems[0].line == line
    assert f"{FILE}:{line}: " in str(caught.value)
    assert words in str(caught.value)


def test_too_long_is_said_and_not_cut() -> None:
    for turns in (
        [{"role": "agent", "text": "x" * (LONGEST_MESSAGE + 1)}],
        [{"role": "agent", "text": "x"}] * (LONGEST_TRANSCRIPT + 1),
    ):
        with pytest.raises(FileProblems):
            one(json.dumps({"id": "a", "turns": turns}))


def test_a_long_file_name_is_no_problem() -> None:
    (transcript,) = parse_transcripts("Agent: hi", Path("n" * 250 + ".txt"))
    assert transcript.id == "n" * 200


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "turns", "role", "text"]), inner, max_size=4)
    ),
    max_leaves=12,
).map(json.dumps)


@given(
    text=st.text(max_size=200)
    | json_like
    | st.text('{}[]":,\n\\u0d8 idturnsrole', max_size=80)
    | st.lists(st.sampled_from(["Customer:", "Agent: ", "\n", "x", "{", "\ufeff"])).map("".join)
)
@example("[" * 100_000)
@example('{"id": "a", "turns": ' + "9" * 5000 + "}")
def test_any_text_is_read_or_its_problem_said(text: str) -> None:
    problems: list[Problem] = []
    transcripts: list[Transcript] = []
    try:
        transcripts = parse_transcripts(text, FILE)
    except FileProblems as error:
        problems = error.problems
    assert bool(problems) != bool(transcripts)
    assert all(problem.line >= 1 for problem in problems)
    assert all(transcript.turns for transcript in transcripts)


@pytest.mark.parametrize(
    ("content", "words"), [(b"\xff\xfe\x00", "UTF-8"), (None, "cannot be read")]
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "talk.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(FileProblems, match=words) as caught:
        read_transcripts(file)
    assert "talk.txt:1: " in str(caught.value)


def test_what_an_agent_had_heard_is_what_came_before() -> None:
    transcript = one("Customer: a\nAgent: b\nCustomer: c\nAgent: d")
    assert transcript.agent_turns() == [1, 3]
    assert transcript.heard_before(1) == ("a",)
    assert transcript.heard_before(3) == ("a", "c")
