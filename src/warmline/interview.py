"""A new customer from a short interview: the trainer answers, the model drafts lines.

Everything but the lines is what the trainer said; where a line is missing, the draft is not valid
yet, and says so at the field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from warmline.detectors import CUES
from warmline.errors import FileProblems, Problem
from warmline.persona import Line, Text, mentions
from warmline.phrases import STOPWORDS
from warmline.studio import id_of
from warmline.yamlfile import RuleBroken, RulesBroken, StrictModel, problems_of

#: What the agents of the two sample dialogues write, until the trainer finds better words.
COLD_REPLIES = ("Reference number?", "You have to wait like everybody else.")
KIND_REPLIES = (
    "I have read all of it, {first}, and I'm sorry. Anybody would feel as you do.",
    "Here is what I'll do for you today: {may}",
)

#: A mood's name stands in the prompt of every turn, so it is short.
LONGEST_MOOD = 24
MOST_GIVEAWAYS = 8

Feeling = Annotated[Line, Field(max_length=80)]


class Asked(StrictModel):
    """What the customer tells only when asked: about what, and in their words."""

    about: list[Line] = Field(min_length=1)
    says: Line


class Answers(StrictModel):
    """What a trainer said about a new customer.

    The four feelings are those of the ladder, worst first: if it goes badly, when they write, when
    they begin to trust, when it has gone well. ``hides`` is told once they feel heard, in the
    customer's own words.
    """

    name: Line
    title: Line
    sector: Line
    difficulty: int = Field(ge=1, le=5)
    who: Text
    happened: Text
    record: list[Line] = Field(min_length=1)
    worst: Feeling
    start: Feeling
    trusting: Feeling
    best: Feeling
    why: Text
    wants: Text
    voice: Text
    hides: list[Line] = []
    asked: list[Asked] = []
    softens: list[str] = Field(min_length=1)
    may: list[Line] = Field(min_length=1)
    may_not: list[Line] = Field(min_length=1)

    @property
    def feelings(self) -> tuple[str, str, str, str]:
        """The four feelings, worst first."""
        return self.worst, self.start, self.trusting, self.best

    @property
    def moods(self) -> list[str]:
        """The names of the moods, worst first."""
        return [mood_of(feeling) for feeling in self.feelings]

    @model_validator(mode="after")
    def _rules(self) -> Answers:
        broken = []
        moods = self.moods
        for index, field_name in enumerate(("worst", "start", "trusting", "best")):
            if not moods[index]:
                broken.append(RuleBroken((field_name,), "use letters for it"))
            elif moods[index] in moods[:index]:
                broken.append(
                    RuleBroken((field_name,), "stands here twice; use another word for it")
                )
        for index, cue in enumerate(self.softens):
            if cue not in CUES:
                broken.append(RuleBroken(("softens", index), f"no cue {cue!r}"))
        if broken:
            raise RulesBroken(broken)
        return self


@dataclass
class Drafted:
    """Lines for a customer; empty where there is none yet."""

    opening: str = ""
    #: For each mood of the ladder, worst first.
    lines: list[list[str]] = field(default_factory=lambda: [[], [], [], []])
    cold: list[str] = field(default_factory=lambda: ["", ""])
    kind: list[str] = field(default_factory=lambda: ["", ""])
    resolved: str = ""
    walks_out: str = ""
    longest: str = ""

    def all(self) -> list[str]:
        """Every line there is."""
        single = [self.opening, *self.cold, *self.kind, self.resolved, self.walks_out, self.longest]
        return [line for line in (*single, *chain(*self.lines)) if line]


def merged(now: Any, before: Any, new: Any) -> Any:
    """New values, except where somebody changed what there was before."""
    if now == before:
        return new
    if isinstance(now, dict) and isinstance(before, dict) and isinstance(new, dict):
        both = before.keys() & new.keys()
        return {
            key: merged(one, before[key], new[key]) if key in both else one
            for key, one in now.items()
        }
    lists = all(isinstance(one, list) for one in (now, before, new))
    if lists and len(now) == len(before) == len(new):
        return [merged(*three) for three in zip(now, before, new, strict=True)]
    return now


def mood_of(feeling: str) -> str:
    """The name of a mood: ``Close to tears`` is ``close-to-tears``, cut to whole words."""
    words: list[str] = []
    for word in id_of(feeling).split("-"):
        if words and len("-".join([*words, word])) > LONGEST_MOOD:
            break
        words.append(word)
    return "-".join(words)[:LONGEST_MOOD]


def persona_values(answers: Answers, drafted: Drafted) -> dict[str, Any]:
    """The fields of a persona file, without its id: what the trainer said, and the lines."""
    moods = answers.moods
    values: dict[str, Any] = {
        "name": answers.name,
        "title": answers.title,
        "sector": answers.sector,
        "difficulty": answers.difficulty,
        "language": "en",
        "brief": {
            "situation": answers.happened,
            "record": answers.record,
            "may": answers.may,
            "may_not": answers.may_not,
        },
        "opening": drafted.opening,
        "voice": answers.voice,
        "story": f"{answers.who} {answers.happened} {answers.why}",
        "wants": answers.wants,
        "facts": facts_of(answers),
        "ladder": [
            {"mood": mood, "means": _sentence(feeling), "lines": lines}
            for mood, feeling, lines in zip(moods, answers.feelings, drafted.lines, strict=True)
        ],
        "start": moods[1],
        "softens": answers.softens,
        "hardens": [
            cue
            for cue in ("blames", "minimises", "deflects", "rude", "stock_phrase", "curt")
            if cue not in answers.softens
        ],
        "ending": {
            "resolved": {
                "mood": moods[3],
                "after": answers.softens[:2],
                "line": drafted.resolved,
            },
            "walks_out": {"worst_turns": 3, "line": drafted.walks_out},
            "longest": {"turns": 12, "line": drafted.longest},
        },
        "samples": [
            _sample("cold", COLD_REPLIES, drafted.cold, (moods[1], moods[0])),
            _sample("kind", kind_replies(answers), drafted.kind, (moods[2], moods[3])),
        ],
        "rubric": "core",
    }
    return values


def _sample(
    agent: str, replies: Sequence[str], lines: Sequence[str], moods: Sequence[str]
) -> dict[str, Any]:
    turns: list[dict[str, str]] = []
    for reply, line, mood in zip(replies, lines, moods, strict=True):
        turns += [{"agent": reply}, {"customer": line, "mood": mood}]
    return {"agent": agent, "turns": turns}


def facts_of(answers: Answers) -> list[dict[str, Any]]:
    """What the customer hides or tells when asked, as the facts of a persona file."""
    trusting = answers.moods[2]
    texts = texts_of(answers)
    facts: list[dict[str, Any]] = []
    told = [*((one, None) for one in answers.hides), *((one.says, one) for one in answers.asked)]
    for index, (says, asked) in enumerate(told):
        others = [*texts, *(other for number, (other, _) in enumerate(told) if number != index)]
        fact: dict[str, Any] = {"id": _fact_id(says, index), "says": says}
        if asked is not None:
            fact |= {"reveal": "when_asked", "asked_about": asked.about}
        else:
            fact |= {"reveal": "when_heard", "from_mood": trusting}
        facts.append({**fact, "giveaways": giveaways(says, others)})
    return facts


def texts_of(answers: Answers) -> list[str]:
    """What may be said of the customer from the beginning."""
    single = [answers.name, answers.title, answers.who, answers.happened, answers.why]
    single += [answers.wants, answers.voice, *answers.feelings]
    return [*single, *answers.record, *answers.may, *answers.may_not]


def _fact_id(says: str, index: int) -> str:
    words = [word for word in id_of(says).split("-") if len(word) > 2 and word not in STOPWORDS]
    return "-".join([*words[:3], str(index + 1)])


def giveaways(says: str, others: Sequence[str]) -> list[str]:
    """The words of a hidden fact that stand in none of the other texts."""
    found: list[str] = []
    for word in re.findall(r"[^\W_]+(?:['’][^\W_]+)?", says):
        plain = len(word) > 4 and word.lower() not in STOPWORDS and "'" not in word
        if plain and word not in found and not any(mentions(text, word) for text in others):
            found.append(word)
    # The long words say most.
    kept = sorted(found, key=len, reverse=True)[:MOST_GIVEAWAYS]
    return [word for word in found if word in kept]


def _sentence(feeling: str) -> str:
    words = feeling[:1].upper() + feeling[1:]
    return words if words.endswith((".", "!", "?")) else f"{words}."


def kind_replies(answers: Answers) -> list[str]:
    """What the kind agent of the sample dialogue writes."""
    first = answers.name.split()[0]
    return [reply.format(first=first, may=flat(answers.may[0])) for reply in KIND_REPLIES]


def flat(text: str) -> str:
    """A text on one line, with no marks of a model in it."""
    return re.sub(r"\s+", " ", text.replace("<|", "< |").replace("|>", "| >")).strip()


#: What has to be answered in a few words, and what with a line for each thing.
WORDS = (
    "name", "title", "sector", "who", "happened", "worst", "start", "trusting", "best", "why",
    "wants", "voice",
)  # fmt: skip
ROWS = ("record", "may", "may_not")
#: What need not be answered.
MAYBE = ("hides", "asked")


def read_answers(typed: Mapping[str, str], softens: Sequence[str]) -> Answers:
    """The answers from what was typed in a form.

    Args:
        typed: by the names of the fields of ``Answers``; lists have a line for each thing, and what
            is told only when asked is written ``about, about: what they say``.
        softens: the cues that were chosen.

    Raises:
        FileProblems: with the field of every problem.
    """
    problems = []

    def wrong(name: str, message: str) -> None:
        problems.append(Problem(_FORM, 1, name, message))

    values: dict[str, Any] = {name: typed.get(name, "").strip() for name in WORDS}
    values |= {
        name: [row.strip() for row in typed.get(name, "").splitlines() if row.strip()]
        for name in (*ROWS, *MAYBE)
    }
    for name in WORDS:
        if not values[name]:
            wrong(name, "write a few words here")
    for name in ROWS:
        if not values[name]:
            wrong(name, "write at least one, each on a line of its own")
    asked = []
    for row in values["asked"]:
        about, _, says = row.partition(":")
        words = [word.strip() for word in about.split(",") if word.strip()]
        if not words or not says.strip():
            wrong("asked", f"write what one has to ask about, a colon, and what they say: {row!r}")
        asked.append({"about": words, "says": says.strip()})
    level = typed.get("difficulty", "")
    if level not in _LEVELS:
        wrong("difficulty", "choose one")
    if not softens:
        wrong("softens", "choose at least one")
    if problems:
        raise FileProblems(problems)
    values |= {"asked": asked, "softens": list(softens), "difficulty": int(level)}
    try:
        return Answers.model_validate(values)
    except ValidationError as error:
        raise FileProblems(problems_of(error, _FORM, {})) from error


_FORM = Path("interview")
_LEVELS = {"1", "2", "3", "4", "5"}
