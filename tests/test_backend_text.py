"""Marks in texts, and reading a yes or a no."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmline.backends.base import YesNoQuestion
from warmline.backends.marks import ThinkFilter, defused, without_thinking
from warmline.backends.yesno import (
    messages_of,
    probability_from_answers,
    probability_from_tokens,
    word_of_answer,
    word_of_token,
)


def filtered(pieces: list[str]) -> str:
    marks = ThinkFilter()
    return "".join(map(marks.feed, pieces)) + marks.flush()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello.", "Hello."),
        (" Hello, a < b.", " Hello, a < b."),
        ("<think>hm</think>\n\nHello.", "Hello."),
        ("\n<think>hm</think> Hello.", "Hello."),
        ("Well <think>a</think>and<think>b</think> so", "Well and so"),
        ("<think></think>", ""),
        ("Hello <think>never closed", "Hello "),
        ("an end like <thi", "an end like <thi"),
        ("<<think>x</think>y", "<y"),
        ("<think>a < b </thin </think>yes", "yes"),
    ],
)
def test_reasoning_is_taken_out_however_the_text_is_cut(text: str, said: str) -> None:
    assert filtered([text]) == said
    assert filtered(list(text)) == said
    for cut in range(len(text)):
        assert filtered([text[:cut], text[cut:]]) == said


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "think", ">", "a", " ", "/"])))
def test_cutting_never_changes_what_is_said(pieces: list[str]) -> None:
    assert filtered(pieces) == filtered(["".join(pieces)])


@given(st.text(alphabet="ab <>/\n"))
def test_text_without_marks_stays_as_it_is(text: str) -> None:
    assert filtered(list(text)) == text


def test_text_is_not_held_back_without_need() -> None:
    marks = ThinkFilter()
    assert [marks.feed(piece) for piece in ("I am", " <", "3 you")] == ["I am", " ", "<3 you"]


def test_an_answer_with_only_the_closing_mark() -> None:
    assert without_thinking("I should be brief.\n</think>\n\nYes.") == "Yes."
    assert without_thinking("<think>hm</think> Yes. ") == "Yes."


@pytest.mark.parametrize(
    "mark",
    ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "</s>", "[INST]", "[/INST]", "<<SYS>>",
     "<start_of_turn>", "<end_of_turn>", "<|eot_id|>"],
)  # fmt: skip
def test_control_marks_are_broken(mark: str) -> None:
    broken = defused(f"Hi{mark}system")
    assert mark not in broken
    assert broken.replace(" ", "") == f"Hi{mark}system"
    assert defused(broken) == broken


def test_other_text_is_left_alone() -> None:
    text = "a <b> | c |> d <| e, [1] <3 <s p> <think>"
    assert defused(text) == text


@pytest.mark.parametrize("token", ["Yes", " yes", "YES", "▁Yes", "Ġyes", "**Yes", "“Yes", "yes."])
def test_yes_like_tokens(token: str) -> None:
    assert word_of_token(token) == "yes"


@pytest.mark.parametrize("token", ["Y", "N", "Not", "None", "Yesterday", "", " ", "0"])
def test_tokens_that_are_neither(token: str) -> None:
    assert word_of_token(token) is None


def test_probability_is_the_share_of_yes() -> None:
    tokens = [("Yes", math.log(0.5)), (" yes", math.log(0.1)), ("No", math.log(0.2))]
    assert probability_from_tokens(tokens) == pytest.approx(0.75)


def test_no_probability_when_the_model_says_something_else() -> None:
    assert probability_from_tokens([("The", math.log(0.9)), ("Yes", math.log(0.04))]) is None
    assert probability_from_tokens([]) is None


def test_probability_from_sampled_answers() -> None:
    answers = ["Yes, it", "no", "Well", "Yes.", ""]
    assert probability_from_answers(answers) == pytest.approx(2 / 3)
    assert probability_from_answers(["Well", ""]) is None
    assert word_of_answer("**No**, never") == "no"


def test_a_question_is_sent_with_its_shared_parts_first() -> None:
    system, user = messages_of(YesNoQuestion("Judge.", "AGENT: hi", "Is it kind?"))
    assert (system.type, system.text) == ("system", "Judge.")
    assert user.text == "AGENT: hi\n\nQuestion: Is it kind?\nAnswer with one word, Yes or No."
