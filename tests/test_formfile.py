"""A file's values are changed, and everything else in it stays."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warmline.errors import FileProblems
from warmline.formfile import NotForForms, edited
from warmline.formfile.pairing import pairs, same
from warmline.settings import PROJECT
from warmline.yamlfile import read_values

FILES = sorted(
    file for folder in ("personas", "rubrics") for file in (PROJECT / folder).glob("*.yaml")
)
TEXTS = {file.name: file.read_text(encoding="utf-8") for file in FILES}
PERSONA = TEXTS["marjorie-bereavement.yaml"]
RUBRIC = TEXTS["core.yaml"]

#: A file of the kind that somebody wrote over the years.
ODD = """\
# At the top.

name: Nora   # who
'single': 'it''s'
"double": "a \\"b\\" \\u00e9"
empty:
none: null
literal: |
  one

    two
  three
# Between.
kept: |+
  text

folded: >-   # why
  first line of it
  and the second

  a paragraph
flow: [a, "b, c", 'd']   # three
wide: [one,   # first
  two]
map: {x: 1, y: 1.0, z: true}
same:
- low
- lower   # lowest
deep:
  # Over the first.
  - id: a
    says: plain text
    list: []

  # Over the second.
  - id: b
    # Inside it.
    says: "quoted"
    number: 3
flat:
  - {score: 1, means: "little"}   # at the bottom
  - {score: 2, means: "much"}
# At the end.
"""


def values_of(text: str) -> dict[str, Any]:
    return read_values(text, Path("mine.yaml"))[0]


def changed_lines(before: str, after: str) -> tuple[int, int]:
    """How many lines a diff takes out and puts in."""
    lines = [
        line[0]
        for line in unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    return lines.count("-"), lines.count("+")


def containers(value: Any) -> Iterator[Any]:
    """Every list and dict in a value, itself first."""
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from containers(one)
    elif isinstance(value, list):
        yield value
        for one in value:
            yield from containers(one)


@pytest.mark.parametrize("name", TEXTS)
def test_without_a_change_the_text_is_the_same(name: str) -> None:
    assert edited(TEXTS[name], values_of(TEXTS[name])) == TEXTS[name]


@pytest.mark.parametrize("name", TEXTS)
def test_a_word_changes_one_line(name: str) -> None:
    """Texts all over every shipped file, with one word of each changed for another as long."""
    text = TEXTS[name]
    values = values_of(text)
    number = 0
    for holder in containers(values):
        for key in range(len(holder)) if isinstance(holder, list) else list(holder):
            old = holder[key]
            number += isinstance(old, str)
            if isinstance(old, str) and key != "id" and (number % 23 == 0 or len(old) > 200):
                words = old.split(" ")
                words[len(words) // 2] = "x" * len(words[len(words) // 2])
                holder[key] = " ".join(words)
                after = edited(text, values)
                assert changed_lines(text, after) == (1, 1), holder[key]
                assert same(values_of(after), values)
                holder[key] = old


def change(work: Callable[[dict[str, Any]], object], text: str = PERSONA) -> tuple[int, int]:
    values = values_of(text)
    work(values)
    after = edited(text, values)
    assert same(values_of(after), values)
    return changed_lines(text, after)


@pytest.mark.parametrize(
    ("work", "lines"),
    [
        (lambda v: v["brief"]["record"].insert(1, 'Call: "x" #1'), (0, 1)),
        (lambda v: v["brief"]["record"].pop(0), (1, 0)),
        (lambda v: v["brief"]["record"].append("New."), (0, 1)),
        (lambda v: v["ladder"][1]["lines"].reverse(), (4, 4)),
        (lambda v: v["facts"].append({"id": "x", "says": "So.", "reveal": "freely"}), (0, 3)),
        (lambda v: v["facts"].insert(0, v["facts"].pop(2)), (5, 5)),
        (lambda v: v["facts"].pop(0), (3, 0)),
        (lambda v: v["moments"].append({"id": "x", "when": {"turn": 3}, "says": "So."}), (0, 3)),
        (lambda v: v.update(difficulty=5), (1, 1)),
        (lambda v: v.update(asks_for_no=True), (0, 1)),
        (lambda v: v["softens"].append("thanks"), (1, 1)),
        (lambda v: v["moments"][0].update(when={"cue": "rude"}), (1, 1)),
        (lambda v: v["facts"][2].update(from_mood="softer"), (0, 1)),
        (lambda v: v.pop("rubric"), (1, 0)),
        (lambda v: v.update(story=v["story"] + "\nAnd then."), (0, 2)),
    ],
)  # fmt: skip
def test_a_change_of_a_list_or_field_changes_its_own_lines(
    work: Callable[[dict[str, Any]], object], lines: tuple[int, int]
) -> None:
    assert change(work) == lines


def test_steps_keep_the_blank_line_between_them() -> None:
    values = values_of(RUBRIC)
    values["steps"].insert(0, values["steps"].pop(3))
    values["steps"].append({**values["steps"][0], "id": "new"})
    after = edited(RUBRIC, values)
    assert after.count("\n\n  - id: ") == len(values["steps"]) - 1
    assert "steps:\n  - id: " in after
    assert re.findall(r"^  - id: (\S+)", after, re.M)[-1] == "new"


def test_a_longer_list_gets_a_line_for_each_item() -> None:
    text = "a: [one, two]  # why\nb: 1\n"
    after = edited(text, {"a": ["one", "this is " + "long " * 10], "b": 1})
    assert after.count("\n  - ") == 2
    assert "# why" in after


def test_what_a_form_cannot_keep_is_refused_and_says_so() -> None:
    for text in ("a: &x one\nb: *x\n", "true: {a: 1}\n", "a: !!str 3\n"):
        values = values_of(text)
        assert edited(text, copy.deepcopy(values)) == text
    with pytest.raises(NotForForms, match="file view"):
        edited("a: &x one\nb: *x\n", {"a": "one", "b": "two"})
    with pytest.raises(NotForForms, match="file view"):
        edited("true: {a: 1}\n", {True: {"a": 2}})
    with pytest.raises(FileProblems):
        edited("a: [", {"a": []})


TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.lists(
        st.sampled_from(
            ["word", "it's", '"so"', ": ", " #", "#", "\n", "\n\n", "  ", " ", "- ", "é", "👩‍🚒", "[", "]", "{", "}", ",", "&a", "*b",
             "!x", "|", ">", "%", "@", "`", "true", "null", "~", "12", "1.5", "2020-01-01", "<<", "---", "...", "\t", "\x00", "\x85", "\u2028", "\ufeff", "\\", "a long run of words that goes on "]
        ),
        max_size=14,
    ).map("".join),
).map(lambda text: text.replace("\r", ""))  # fmt: skip
SCALAR = st.one_of(TEXT, st.integers(-5, 500), st.sampled_from([0.5, 1.0, 2.25]), st.booleans())


def keys_of(holder: Any, kinds: tuple[type, ...]) -> list[Any]:
    all_keys = range(len(holder)) if isinstance(holder, list) else list(holder)
    return [key for key in all_keys if isinstance(holder[key], kinds)]


def one_edit(data: st.DataObject, values: dict[str, Any], ops: list[str]) -> None:
    """Change something somewhere in the values."""
    op = data.draw(st.sampled_from(ops))
    everything = list(containers(values))
    if op == "scalar":
        holders = [one for one in everything if keys_of(one, (str, int, float, type(None)))]
        holder = data.draw(st.sampled_from(holders))
        key = data.draw(st.sampled_from(keys_of(holder, (str, int, float, type(None)))))
        kept = isinstance(holder[key], str) and data.draw(st.booleans())
        holder[key] = data.draw(TEXT) if kept else data.draw(SCALAR)
        return
    lists = [one for one in everything if isinstance(one, list) and (one or op == "add")]
    chosen = data.draw(st.sampled_from(lists))
    at = data.draw(st.integers(0, max(0, len(chosen) - (op != "add"))))
    if op == "add":
        like = copy.deepcopy(chosen[0]) if chosen and isinstance(chosen[0], dict) else None
        if like is not None:
            for key in keys_of(like, (str,)):
                like[key] = data.draw(TEXT)
        chosen.insert(at, like or data.draw(TEXT))
    elif op == "remove":
        del chosen[at]
    elif op == "move":
        chosen.insert(data.draw(st.integers(0, len(chosen) - 1)), chosen.pop(at))


def edit_and_compare(data: st.DataObject, text: str, ops: list[str]) -> str:
    for _ in range(data.draw(st.integers(1, 4))):
        values = values_of(text)
        for _ in range(data.draw(st.integers(1, 2))):
            one_edit(data, values, ops)
        text = edited(text, values)
        assert same(values_of(text), values)
    return text


SLOW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(data=st.data())
def test_edits_read_back_as_they_were_made(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["odd", *TEXTS]))
    edit_and_compare(data, TEXTS.get(name, ODD), ["scalar", "add", "remove", "move"])


def commented(text: str, every: int) -> str:
    """A file with a comment over every so many of its fields and items, and behind some."""
    lines = text.splitlines()
    found = []
    folded = 0  # the least indent of a folded text that is being passed; a colon is none of ours
    for number, line in enumerate(lines):
        if folded and (not line.strip() or len(line) - len(line.lstrip()) >= folded):
            found.append(line)
            continue
        opens = re.match(r"( *)(?:- )?[a-z_]+: [>|]", line)
        folded = len(opens[1]) + 1 if opens else 0
        begins = re.match(r"( *)(- |[a-z_]+:)", line)
        if begins and number % every == 0:
            found.append(f"{begins[1]}# over {number}")
        behind = re.match(r" *(- )?[a-z_]+: [^>|]*$", line)
        found.append(f"{line}  # behind {number}" if behind and number % every == 1 else line)
    return "\n".join(found) + "\n"


def comments_of(text: str) -> list[str]:
    return sorted(re.findall(r"# (?:over|behind) \d+", text))


@SLOW
@given(data=st.data())
def test_every_comment_stays(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(TEXTS)))
    text = commented(TEXTS[name], data.draw(st.integers(2, 9)))
    before = comments_of(text)
    assert len(before) > 5
    after = edit_and_compare(data, text, ["scalar", "add", "move"])
    assert comments_of(after) == before


@SLOW
@given(data=st.data())
def test_comments_over_what_is_taken_out_stay(data: st.DataObject) -> None:
    values = values_of(ODD)
    order = data.draw(st.permutations(["name", "deep", "same", "flat", "flow", "map", "folded"]))
    for name in order[: data.draw(st.integers(1, 6))]:
        if isinstance(values[name], list) and data.draw(st.booleans()):
            del values[name][data.draw(st.integers(0, len(values[name]) - 1))]
        else:
            del values[name]
    after = edited(ODD, values)
    assert same(values_of(after), values)
    for comment in ("# At the top.", "# Between.", "# At the end."):
        assert comment in after
    if "deep" in values:
        assert "# Over the first." in after
        assert "# Over the second." in after


def test_a_file_without_a_last_line_break_stays_one() -> None:
    assert edited("a: 1\nb: [x]", {"a": 1, "b": ["x", "z"]}) == "a: 1\nb: [x, z]"
    assert edited("a: 1", {"a": 1, "b": 2}) == "a: 1\nb: 2"


def test_which_item_was_which() -> None:
    assert pairs(["a", "b", "c"], ["a", "x", "c"]) == [0, 1, 2]
    assert pairs(["a", "b", "c"], ["b", "c", "a"]) == [1, 2, 0]
    assert pairs(["a", "b"], ["a", "x", "b"]) == [0, None, 1]
    assert pairs([{"id": "a", "n": 1}, {"id": "b"}], [{"id": "b"}, {"id": "a", "n": 2}]) == [1, 0]
    assert pairs([], ["a"]) == [None]
