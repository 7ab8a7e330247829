"""A persona tried: scripted agents talk with the real customer, and what is to be seen in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from warmline.backends.base import Backend, Priority, Usage, YesNoQuestion
from warmline.backends.giving_way import GivesWay
from warmline.bench.customer import tells
from warmline.hearing import Hearing
from warmline.library import Entry, Library
from warmline.persona import Fact, Persona
from warmline.practice import Practice
from warmline.rubric import Rubric
from warmline.simulation import Played, PlayedTurn, agent_lines, has_kind_lines, play
from warmline.store import Store

#: Replies that an agent may be let write: as many as the scripted ones have lines.
LEAST_REPLIES, MOST_REPLIES = 1, 12


@dataclass
class AgentTrial:
    """One agent's conversation: how many replies it is to write, and what was played."""

    agent: str
    replies: int
    played: Played | None = None
    done: bool = False

    @property
    def turns(self) -> Sequence[PlayedTurn]:
        """What was said so far."""
        return self.played.turns if self.played else ()


@dataclass
class PersonaTrial:
    """Some agents with one persona.

    ``own_lines``: the kind agent writes lines made for this persona, and not those of its sample
    and what fits anybody.
    """

    entry: Entry[Persona]
    draft: bool
    agents: list[AgentTrial]
    own_lines: bool
    #: How many replies were asked for; an agent may have fewer lines.
    asked: int = MOST_REPLIES

    @property
    def persona(self) -> Persona:
        """Who is tried."""
        return self.entry.item

    @property
    def now(self) -> AgentTrial | None:
        """The agent that is talking."""
        return next((one for one in self.agents if one.played and not one.done), None)

    @property
    def replies_done(self) -> int:
        """Replies written so far, where a conversation that has ended counts in full."""
        return sum(one.replies if one.done else len(one.turns) for one in self.agents)

    @property
    def replies(self) -> int:
        """Replies to be written in all."""
        return sum(one.replies for one in self.agents)


def persona_trial(
    entry: Entry[Persona], agents: Sequence[str], replies: int, *, draft: bool
) -> PersonaTrial:
    """What is to be played.

    Raises:
        WarmlineError: for an agent that there is not.
    """
    planned = [
        AgentTrial(agent, min(replies, len(agent_lines(agent, entry.item)))) for agent in agents
    ]
    return PersonaTrial(entry, draft, planned, has_kind_lines(entry.item), replies)


class _Nobody:
    """Judges nothing: what is tried is not graded, so nobody is asked about it."""

    name = model = digest = "none"
    batch = 1

    def __init__(self) -> None:
        self.usage = Usage()

    async def probabilities_of_yes(
        self, questions: Sequence[YesNoQuestion], *, priority: Priority = Priority.BACKGROUND
    ) -> list[float | None]:
        return [None] * len(questions)

    async def aclose(self) -> None:
        pass


async def play_trial(
    trial: PersonaTrial, rubric: Entry[Rubric], backend: Backend, hearing: Hearing
) -> None:
    """Play it, one agent after the other; ``trial`` fills as it goes. Trainees go first.

    Raises:
        BackendError: when the model fails. What was played by then is in the trial.
    """
    persona = trial.persona
    library = Library({persona.id: trial.entry}, {persona.rubric: rubric})
    with TemporaryDirectory(prefix="warmline-") as folder:
        store = await Store.open(Path(folder) / "try.db")
        try:
            practice = Practice(store, library, GivesWay(backend), judge=_Nobody(), hearing=hearing)
            try:
                for one in trial.agents:
                    await play(
                        practice,
                        persona,
                        one.agent,
                        turns=one.replies,
                        tell=lambda played, one=one: setattr(one, "played", played),  # type: ignore[misc]
                    )
                    one.done = True
            finally:
                await practice.close()
        finally:
            await store.close()


# What is to be seen


@dataclass(frozen=True)
class Told:
    """A fact that was told: in the answer to which reply, and whether before its time."""

    fact: Fact
    reply: int
    early: bool = False


def told(persona: Persona, turns: Sequence[PlayedTurn]) -> list[Told]:
    """Which facts were told, and when, in the order in which they came."""
    found = []
    known: set[str] = set()
    for reply, turn in enumerate(turns, start=1):
        for fact in persona.facts:
            if fact.id in known:
                continue
            if fact.id in turn.released:
                known.add(fact.id)
                found.append(Told(fact, reply))
            elif fact.reveal != "freely" and tells(turn.customer, fact):
                known.add(fact.id)
                found.append(Told(fact, reply, early=True))
    return found


@dataclass(frozen=True)
class Remark:
    """One sentence of the summary. ``sound`` is None where it is neither good nor bad."""

    words: str
    sound: bool | None = field(default=None)


#: How a conversation ended, in words.
ENDED = {
    None: "the agent had no more to say",
    "resolved": "the customer left content",
    "walked_out": "the customer walked out",
    "longest": "the customer had to go",
}


def summary(trial: PersonaTrial) -> Iterator[Remark]:
    """What the whole try says, in plain words."""
    by_agent = {one.agent: one for one in trial.agents if one.turns}
    for agent, remark in (("kind", _kind), ("cold", _cold), ("hostile", _cold), ("breaker", _cold)):
        if one := by_agent.get(agent):
            yield remark(trial.persona, one)
    yield _early(trial)
    yield from _untold(trial)
    yield _held_back(trial)


def _end(one: AgentTrial) -> str:
    assert one.played is not None
    count = len(one.turns)
    after = f"{count} repl{'y' if count == 1 else 'ies'}"
    if one.played.ended:
        return f"after {after} {ENDED[one.played.ended]}"
    return f"after {after} the conversation was still going on"


def _kind(persona: Persona, one: AgentTrial) -> Remark:
    start, end = persona.rank(persona.start), persona.rank(one.turns[-1].mood)
    mood = one.turns[-1].mood
    if end == len(persona.ladder) - 1:
        return Remark(
            f"The kind agent brings the customer from {persona.start!r} to {mood!r}, the best "
            f"mood: {_end(one)}.",
            sound=True,
        )
    if end > start:
        return Remark(
            f"The kind agent brings the customer from {persona.start!r} up to {mood!r}: "
            f"{_end(one)}. With more replies it may go further.",
            sound=True if one.played and not one.played.ended else None,
        )
    return Remark(
        f"The kind agent does not get the customer above {persona.start!r}: they are at {mood!r}, "
        f"{_end(one)}. Look at what softens them, and at how hard they are, or let it write more.",
        sound=False,
    )


def _cold(persona: Persona, one: AgentTrial) -> Remark:
    name = AGENT_NAMES[one.agent]
    mood = one.turns[-1].mood
    change = persona.rank(mood) - persona.rank(persona.start)
    if change > 0:
        return Remark(
            f"{name} leaves the customer at {mood!r}, better than at the start: that should not "
            "be. Look at what softens them.",
            sound=False,
        )
    if change == 0:
        return Remark(f"{name} leaves the customer at {mood!r}, where they were: {_end(one)}.")
    return Remark(f"{name} leaves the customer at {mood!r}: {_end(one)}.", sound=True)


def _early(trial: PersonaTrial) -> Remark:
    early = [
        f"{one.fact.id} ({AGENT_NAMES[agent.agent].lower()}, reply {one.reply})"
        for agent in trial.agents
        for one in told(trial.persona, agent.turns)
        if one.early
    ]
    if not early:
        return Remark("No fact was told before its time.", sound=True)
    return Remark(f"Told before its time: {', '.join(early)}.", sound=False)


def _untold(trial: PersonaTrial) -> Iterator[Remark]:
    known = {one.fact.id for agent in trial.agents for one in told(trial.persona, agent.turns)}
    missing = [f.id for f in trial.persona.facts if f.reveal != "never" and f.id not in known]
    if missing:
        yield Remark(
            f"Nobody was told: {', '.join(missing)}. Most agents do not ask about everything; play "
            "more replies, or look at what these facts wait for."
        )


def _held_back(trial: PersonaTrial) -> Remark:
    turns = [turn for one in trial.agents for turn in one.turns]
    held = sum(len(turn.rejected) for turn in turns)
    script = sum(turn.source == "fallback" for turn in turns)
    sentences = "sentence" if held == 1 else "sentences"
    if not held:
        return Remark(f"The guard held nothing back in {len(turns)} lines of the customer.")
    return Remark(
        f"The guard held back {held} {sentences} of the model's; {script} of {len(turns)} lines "
        "came from the script because none of the model's passed."
    )


#: The agents, in words that begin a sentence.
AGENT_NAMES = {
    "kind": "The kind agent",
    "mixed": "The mixed agent",
    "cold": "The cold agent",
    "hostile": "The hostile agent",
    "silent": "The silent agent",
    "breaker": "The agent who tries to break the play",
}
