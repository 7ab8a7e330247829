"""Reading a yes or a no out of what a model answers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from warmline.backends.base import YesNoQuestion

Word = Literal["yes", "no"]

#: How many of the likeliest first tokens are asked for; the servers give no more than 20.
ALTERNATIVES = 20

#: Below this joint probability of "yes" and "no" the model is answering something else.
LEAST_MASS = 0.05

#: What may stand around the word in a token: spaces (also as tokenizers write them), markup.
_AROUND = " \t\r\n▁Ġ*_\"'`“”‘’.,:;!()[]"


def messages_of(question: YesNoQuestion) -> list[BaseMessage]:
    """The question as a chat: instructions first, then material and question."""
    return [
        SystemMessage(question.instructions),
        HumanMessage(question.user_text()),
    ]


def word_of_token(token: str) -> Word | None:
    """The word a token is, in any case and with spaces or markup around it.

    Only whole words count. A lone "Y" or "N" does not: more often than not it begins another
    word ("You", "Not").
    """
    match token.strip(_AROUND).casefold():
        case "yes":
            return "yes"
        case "no":
            return "no"
        case _:
            return None


def word_of_answer(text: str) -> Word | None:
    """The word an answer begins with, if that is yes or no."""
    words = text.split()
    return word_of_token(words[0]) if words else None


def probability_from_tokens(alternatives: Iterable[tuple[str, float]]) -> float | None:
    """The share of "yes" among the yes-like and no-like first tokens.

    ``alternatives`` are tokens with their natural log-probabilities. None when yes and no
    together are less likely than `LEAST_MASS`.
    """
    mass: dict[Word, float] = {"yes": 0.0, "no": 0.0}
    for token, logprob in alternatives:
        word = word_of_token(token)
        if word is not None:
            mass[word] += math.exp(logprob)
    joint = mass["yes"] + mass["no"]
    return mass["yes"] / joint if joint >= LEAST_MASS else None


def probability_from_answers(answers: Iterable[str]) -> float | None:
    """The share of "yes" among sampled answers; None when none of them is a yes or a no."""
    words = [word for word in map(word_of_answer, answers) if word is not None]
    return words.count("yes") / len(words) if words else None
