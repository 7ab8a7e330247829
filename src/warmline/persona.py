"""A persona: the scripted customer, one YAML file in ``personas/``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Protocol

from pydantic import Field, StringConstraints, model_validator

from warmline.detectors import CUES
from warmline.yamlfile import RuleBroken, RulesBroken, StrictModel

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=600)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([-_][a-z0-9]+)*$", max_length=64)]
Reveal = Literal["freely", "when_asked", "when_heard", "never"]

#: Each mood needs this many authored lines, so that the script can carry a whole conversation.
LEAST_LINES = 3

#: What a reaction can be to besides cues: a reply that neither softens nor hardens, and questions
#: about what is not told yet, about what was told already, and about what no fact answers.
OCCASIONS = frozenset({"nothing", "asked_in_vain", "asked_again", "asked"})


class Brief(StrictModel):
    """What the trainee sees before and during the conversation."""

    situation: Text
    record: list[Line] = Field(min_length=1)
    may: list[Line] = Field(min_length=1)
    may_not: list[Line] = Field(min_length=1)


class Fact(StrictModel):
    """Something the customer knows, and what it takes to be told it.

    ``asked_about`` holds words of which one must stand in the agent's reply for the fact to be
    asked for; ``giveaways`` holds words that only somebody who knows the fact would say.
    """

    id: Slug
    says: Line
    reveal: Reveal
    asked_about: list[Line] = []
    giveaways: list[Line] = []
    from_mood: Slug | None = None


class Mood(StrictModel):
    """One rung of the ladder, with lines the customer can always fall back on."""

    mood: Slug
    means: Line
    lines: list[Line] = Field(min_length=LEAST_LINES)


class When(StrictModel):
    """What calls a scripted moment: exactly one of a turn, a mood or a cue."""

    turn: int | None = Field(default=None, ge=1, le=60)
    mood: Slug | None = None
    cue: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> When:
        if sum(value is not None for value in (self.turn, self.mood, self.cue)) != 1:
            raise ValueError("give exactly one of turn, mood or cue")
        if self.cue is not None and self.cue not in CUES:
            raise RuleBroken(("cue",), _unknown_cue(self.cue))
        return self


class Moment(StrictModel):
    """Something the customer is scripted to say, once, when its condition is met."""

    id: Slug
    when: When
    says: Line


class Reaction(StrictModel):
    """What the customer says back when they hear one of these cues, between these moods.

    Each line is said once; it has to fit whatever the agent wrote of that kind. ``to`` can hold
    `OCCASIONS` as well. ``about`` holds words of which one must stand in the question; it makes an
    answer of a reaction to ``asked``.
    """

    to: list[str] = Field(min_length=1)
    about: list[Line] = []
    from_mood: Slug | None = None
    until_mood: Slug | None = None
    says: list[Line] = Field(min_length=1)


class Resolved(StrictModel):
    """The customer ends the conversation content: from this mood on, once these cues were seen."""

    mood: Slug
    after: list[str] = Field(min_length=1)
    line: Line


class WalksOut(StrictModel):
    """The customer leaves after this many replies in a row at the worst mood."""

    worst_turns: int = Field(ge=1, le=10)
    line: Line


class Longest(StrictModel):
    """The customer has to go after this many of the agent's replies."""

    turns: int = Field(ge=4, le=60)
    line: Line


class Ending(StrictModel):
    """How the conversation can end from the customer's side."""

    resolved: Resolved
    walks_out: WalksOut
    longest: Longest


class SampleTurn(StrictModel):
    """One message of a sample dialogue: an agent's, or the customer's with its mood."""

    agent: Line | None = None
    customer: Line | None = None
    mood: Slug | None = None

    @model_validator(mode="after")
    def _one_speaker(self) -> SampleTurn:
        if (self.agent is None) == (self.customer is None):
            raise ValueError("give either agent or customer")
        if (self.customer is None) != (self.mood is None):
            raise ValueError("a customer's message needs its mood, an agent's has none")
        return self


class Sample(StrictModel):
    """A short dialogue that shows the model how this customer talks."""

    agent: Literal["cold", "kind"]
    turns: list[SampleTurn] = Field(min_length=2, max_length=12)


class Persona(StrictModel):
    """The scripted customer."""

    id: Slug
    name: Line
    title: Line
    sector: Line
    difficulty: int = Field(ge=1, le=5)
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")]
    brief: Brief
    opening: Line
    voice: Text
    story: Text
    wants: Text
    facts: list[Fact]
    ladder: list[Mood] = Field(min_length=3, max_length=7)
    start: Slug
    softens: list[str] = Field(min_length=1)
    hardens: list[str] = Field(min_length=1)
    reactions: list[Reaction] = []
    moments: list[Moment] = []
    ending: Ending
    samples: list[Sample] = Field(min_length=2, max_length=2)
    rubric: Slug = "core"
    asks_for_no: bool = False

    @property
    def moods(self) -> list[str]:
        """The ids of the moods, worst first."""
        return [rung.mood for rung in self.ladder]

    def rank(self, mood: str) -> int:
        """Where a mood stands on the ladder: 0 is the worst."""
        return self.moods.index(mood)

    @model_validator(mode="after")
    def _rules(self) -> Persona:
        broken: list[RuleBroken] = []
        moods = self.moods

        def mood_exists(path: tuple[str | int, ...], mood: str | None) -> bool:
            if mood is None or mood in moods:
                return True
            known = ", ".join(moods)
            broken.append(
                RuleBroken(
                    path, f"the ladder has no mood {mood!r}; it has {known}; add it or rename"
                )
            )
            return False

        for path, ids in (
            ("ladder", moods),
            ("facts", [fact.id for fact in self.facts]),
            ("moments", [moment.id for moment in self.moments]),
        ):
            for index, one in enumerate(ids):
                if one in ids[:index]:
                    broken.append(RuleBroken((path, index), f"{one!r} stands twice; rename one"))
        if mood_exists(("start",), self.start) and self.start == moods[-1]:
            broken.append(
                RuleBroken(("start",), "starts at the best mood; there is nothing to practise")
            )
        for field, cues in (("softens", self.softens), ("hardens", self.hardens)):
            for index, cue in enumerate(cues):
                if cue not in CUES:
                    broken.append(RuleBroken((field, index), _unknown_cue(cue)))
        for index, cue in enumerate(self.softens):
            if cue in self.hardens:
                broken.append(
                    RuleBroken(("softens", index), f"{cue!r} both softens and hardens; keep one")
                )
        broken.extend(self._fact_rules(mood_exists))
        broken.extend(self._reaction_rules(mood_exists))
        for index, moment in enumerate(self.moments):
            mood_exists(("moments", index, "when", "mood"), moment.when.mood)
        mood_exists(("ending", "resolved", "mood"), self.ending.resolved.mood)
        for index, cue in enumerate(self.ending.resolved.after):
            where: tuple[str | int, ...] = ("ending", "resolved", "after", index)
            if cue not in CUES:
                broken.append(RuleBroken(where, _unknown_cue(cue)))
            elif cue in self.hardens:
                broken.append(
                    RuleBroken(where, f"{cue!r} hardens this customer; wait for a cue that helps")
                )
        for index, sample in enumerate(self.samples):
            for number, turn in enumerate(sample.turns):
                where = ("samples", index, "turns", number)
                mood_exists((*where, "mood"), turn.mood)
                due = "customer" if number % 2 else "agent"
                if getattr(turn, due) is None:
                    broken.append(
                        RuleBroken(where, f"here the {due} speaks; take turns, the agent first")
                    )
        if {sample.agent for sample in self.samples} != {"cold", "kind"}:
            broken.append(RuleBroken(("samples",), "give one sample with a cold agent, one kind"))
        if broken:
            raise RulesBroken(broken)
        return self

    def _fact_rules(self, mood_exists: _MoodExists) -> list[RuleBroken]:
        """A fact that no cue can release, and a hidden fact that another text gives away."""
        broken = []
        texts = list(self.texts())
        for index, fact in enumerate(self.facts):
            mood_exists(("facts", index, "from_mood"), fact.from_mood)
            if fact.reveal == "when_asked" and not fact.asked_about:
                broken.append(
                    RuleBroken(
                        ("facts", index, "asked_about"),
                        "no question can release this fact; list words that ask for it",
                    )
                )
            if fact.reveal == "freely":
                continue
            if not fact.giveaways:
                broken.append(
                    RuleBroken(
                        ("facts", index, "giveaways"),
                        "a hidden fact needs the words that would give it away",
                    )
                )
            for path, text in texts:
                if path == ("facts", index, "says"):
                    continue
                for word in fact.giveaways:
                    if mentions(text, word):
                        broken.append(
                            RuleBroken(
                                path, f"{word!r} gives away the hidden fact {fact.id!r}; reword it"
                            )
                        )
        return broken

    def _reaction_rules(self, mood_exists: _MoodExists) -> list[RuleBroken]:
        """A reaction to a cue that nobody can hear, or between moods that no mood is between."""
        broken = []
        for index, reaction in enumerate(self.reactions):
            here = ("reactions", index)
            for number, cue in enumerate(reaction.to):
                if cue not in CUES | OCCASIONS:
                    known = f"{_unknown_cue(cue)}, or {', '.join(sorted(OCCASIONS))}"
                    broken.append(RuleBroken((*here, "to", number), known))
            if reaction.about and reaction.to != ["asked"]:
                broken.append(
                    RuleBroken(
                        (*here, "about"),
                        "only a question is about something; let `to` be [asked] and nothing else",
                    )
                )
            known_from = mood_exists((*here, "from_mood"), reaction.from_mood)
            known_until = mood_exists((*here, "until_mood"), reaction.until_mood)
            if known_from and known_until and not self.reacts_at(reaction):
                broken.append(
                    RuleBroken(
                        (*here, "until_mood"),
                        f"{reaction.until_mood!r} is worse than {reaction.from_mood!r}, so that it "
                        "is never said; turn the two round",
                    )
                )
        return broken

    def reacts_at(self, reaction: Reaction) -> list[str]:
        """The moods in which a reaction is said, worst first."""
        moods = self.moods
        lowest = moods.index(reaction.from_mood) if reaction.from_mood else 0
        highest = moods.index(reaction.until_mood) if reaction.until_mood else len(moods) - 1
        return moods[lowest : highest + 1]

    def texts(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Every text that the trainee reads or the customer may say, and where it stands."""
        for field in ("name", "title", "opening", "voice", "story", "wants"):
            yield (field,), getattr(self, field)
        yield ("brief", "situation"), self.brief.situation
        for field in ("record", "may", "may_not"):
            for index, line in enumerate(getattr(self.brief, field)):
                yield ("brief", field, index), line
        for index, fact in enumerate(self.facts):
            yield ("facts", index, "says"), fact.says
        for index, rung in enumerate(self.ladder):
            yield ("ladder", index, "means"), rung.means
            for number, line in enumerate(rung.lines):
                yield ("ladder", index, "lines", number), line
        for index, reaction in enumerate(self.reactions):
            for number, line in enumerate(reaction.says):
                yield ("reactions", index, "says", number), line
        for index, moment in enumerate(self.moments):
            yield ("moments", index, "says"), moment.says
        for field in ("resolved", "walks_out", "longest"):
            yield ("ending", field, "line"), getattr(self.ending, field).line
        for index, sample in enumerate(self.samples):
            for number, turn in enumerate(sample.turns):
                speaker = "agent" if turn.agent is not None else "customer"
                yield ("samples", index, "turns", number, speaker), getattr(turn, speaker) or ""


class _MoodExists(Protocol):
    """The signature of the check that a mood is on the ladder."""

    def __call__(self, path: tuple[str | int, ...], mood: str | None) -> bool: ...


def mentions(text: str, word: str) -> bool:
    """Whether a word or phrase stands in the text, at word boundaries, in any case."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def _unknown_cue(cue: str) -> str:
    return f"no cue {cue!r}; the cues are {', '.join(sorted(CUES))}"
