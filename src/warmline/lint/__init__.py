"""Advice on a persona or rubric: what is valid, and yet will not work as its author hopes.

What is wrong with a file is said by the models and the library; this goes on from there. It plays
the director and lets scripted agents write, without a language model, so that it takes a moment.
"""

from __future__ import annotations

from pathlib import Path

from warmline.errors import FileProblems, Problem
from warmline.lint.found import Advice
from warmline.lint.persona_advice import advice_on_persona
from warmline.lint.rubric_advice import advice_on_rubric
from warmline.livelibrary import MODELS, Kind
from warmline.persona import Persona
from warmline.rubric import Rubric
from warmline.yamlfile import parse_yaml, problem_at, read_values

__all__ = ["Advice", "advice", "advice_in"]


def advice(item: Persona | Rubric) -> list[Advice]:
    """What will not work in a valid persona or rubric, in the order of its fields.

    Raises:
        WarmlineError: if the learned judge that comes with Warmline cannot be read.
    """
    if isinstance(item, Persona):
        return advice_on_persona(item)
    return advice_on_rubric(item)


def advice_in(kind: Kind, text: str, file: Path) -> list[Problem]:
    """The same for the text of a file, each with its line; nothing for one that is not valid."""
    try:
        item = parse_yaml(text, file, MODELS[kind])
        _, lines = read_values(text, file)
    except FileProblems:
        return []
    return [problem_at(file, one.path, one.message, lines) for one in advice(item)]
