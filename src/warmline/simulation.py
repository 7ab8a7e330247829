"""Playing a session without a browser: a scripted agent against the real customer.

A trainer sees how a persona holds up, and the benchmark counts what goes wrong. The session runs
through `practice`, as every other does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import Field

from warmline.customer.actor import label
from warmline.errors import WarmlineError
from warmline.people import People
from warmline.persona import Persona
from warmline.practice import Practice
from warmline.settings import PROJECT
from warmline.yamlfile import StrictModel, read_yaml

#: The scripted agents, one list of lines each.
AGENTS_FILE = PROJECT / "benchmarks" / "agents.yaml"

#: Whoever practises here is nobody's user.
SIMULATED_USER = "simulation"

#: What somebody pastes who wants to know what happens.
LONG_MESSAGE = "Please read all of this with care before you answer me. " * 60


class AgentLine(StrictModel):
    """What an agent writes, and for which personas: all, or those that a cue softens."""

    line: str
    if_cue: str | None = None
    if_no: bool = False

    def fits(self, persona: Persona) -> bool:
        """Whether the line is meant for this persona."""
        return (self.if_cue is None or self.if_cue in persona.softens) and (
            persona.asks_for_no or not self.if_no
        )


class AgentsFile(StrictModel):
    """The scripted agents by name."""

    kind: list[AgentLine | str] = Field(min_length=1)
    mixed: list[AgentLine | str] = Field(min_length=1)
    cold: list[AgentLine | str] = Field(min_length=1)
    hostile: list[AgentLine | str] = Field(min_length=1)
    silent: list[AgentLine | str] = Field(min_length=1)
    breaker: list[AgentLine | str] = Field(min_length=1)


#: The agents that can be named.
AGENTS = tuple(AgentsFile.model_fields)


@dataclass(frozen=True)
class PlayedTurn:
    """One message of the agent, and what the customer made of it.

    ``new_tokens`` is what was added to the prompt since the turn before, and ``evaluated_tokens``
    what the engine had to read; both are 0 where the model was not asked. ``first_s`` is the
    seconds until the first words were visible, and ``engine_s`` how many of them the engine took by
    its own clock; both are 0 but for lines that the model said alone.
    """

    agent: str
    customer: str
    mood: str
    source: str
    rejected: tuple[str, ...]
    released: tuple[str, ...]
    cues: tuple[str, ...] = ()
    new_tokens: int = 0
    evaluated_tokens: int = 0
    written_tokens: int = 0
    first_s: float = 0.0
    engine_s: float = 0.0


@dataclass
class Played:
    """One session. ``height`` is where on the ladder it ended: 0 is the worst mood, 1 the best."""

    persona: str
    agent: str
    model: str
    opening: str
    turns: list[PlayedTurn] = field(default_factory=list)
    mood: str = ""
    height: float = 0.0
    ended: str | None = None

    def plain(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def agent_lines(agent: str, persona: Persona, file: Path = AGENTS_FILE) -> list[str]:
    """What an agent will write to this persona: a named agent, or a text file, one reply a line.

    The kind agent has a file for each persona that comes with Warmline, in a folder named like
    ``file``; for others it writes what it does in the persona's own sample, and then makes do with
    lines that fit anybody.

    Raises:
        WarmlineError: if there is no such agent or file, or it holds no reply.
    """
    if agent == "kind" and has_kind_lines(persona, file):
        # What somebody wrote for this persona is kinder than what fits all of them.
        agent = str(_kind_file(persona, file))
    if agent in AGENTS:
        lines = getattr(read_yaml(file, AgentsFile)[0], agent)
        fitting = [
            one if isinstance(one, str) else one.line
            for one in lines
            if isinstance(one, str) or one.fits(persona)
        ]
        own = (
            []
            if agent != "kind"
            else [
                turn.agent
                for sample in persona.samples
                if sample.agent == "kind"
                for turn in sample.turns
                if turn.agent
            ]
        )
        return [*own, *(_filled(line, persona) for line in fitting)]
    try:
        text = Path(agent).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WarmlineError(
            f"No agent {agent!r}: choose {', '.join(AGENTS)}, or name a text file with one reply a "
            f"line ({error})."
        ) from error
    replies = [line.strip() for line in text.splitlines() if line.strip()]
    if not replies:
        raise WarmlineError(f"{agent} holds no reply: write one in each line.")
    return replies


def has_kind_lines(persona: Persona, file: Path = AGENTS_FILE) -> bool:
    """Whether the kind agent has lines that were written for this persona."""
    return _kind_file(persona, file).is_file()


def _kind_file(persona: Persona, file: Path) -> Path:
    return file.parent / file.stem / f"{persona.id}.txt"


def _filled(line: str, persona: Persona) -> str:
    asked = [fact.asked_about for fact in persona.facts if fact.reveal == "when_asked"]
    slots: dict[str, Sequence[str]] = {
        "may": [_lower(one) for one in persona.brief.may],
        "may_not": [_lower(one) for one in persona.brief.may_not],
        "asks": [words[0] for words in asked] or ["what happened"],
    }
    for name, values in slots.items():
        for number in (1, 2, 3):
            value = values[min(number, len(values)) - 1]
            line = line.replace(f"{{{name}{number}}}", value)
    return (
        line.replace("{first}", persona.name.split()[0])
        .replace("{label}", label(persona))
        .replace("{long}", LONG_MESSAGE)
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


async def play(
    practice: Practice,
    persona: Persona,
    agent: str,
    *,
    turns: int,
    seed: int = 0,
    tell: Callable[[Played], object] = lambda played: None,
) -> Played:
    """Let an agent talk with a customer, until the lines are used up or one of them has ended it.

    The same seed plays the same session again, as far as the engine repeats itself. ``tell`` gets
    the session at its beginning and after each turn.

    Raises:
        WarmlineError: for an unknown agent.
        BackendError: when the model fails.
    """
    replies = agent_lines(agent, persona)[:turns]
    session_id = f"{SIMULATED_USER}-{persona.id}-{Path(agent).stem}-{seed}"
    user = await People(practice.store.database).local_user(SIMULATED_USER)
    view = await practice.begin(session_id, user.id, persona.id)
    played = Played(persona.id, Path(agent).stem, practice.backend.model, view.turns[0].text)
    tell(played)
    try:
        before = 0
        for reply in replies:
            await practice.say(session_id, reply)
            turn, before = await _answered(practice, session_id, reply, before)
            played.turns.append(turn)
            view = await practice.view(session_id)
            played.ended = view.state.ended
            tell(played)
            if played.ended:
                break
    finally:
        await practice.forget(session_id)
    played.mood = view.state.mood
    played.height = persona.rank(view.state.mood) / (len(persona.ladder) - 1)
    return played


async def _answered(
    practice: Practice, session_id: str, reply: str, before: int
) -> tuple[PlayedTurn, int]:
    """One answer of the customer with its measurements, and the tokens of the prompt for it.

    ``before`` is the tokens of the last prompt; each prompt only adds to the one before.
    """
    usage = practice.backend.usage
    start, used = time.perf_counter(), replace(usage)
    first_s = engine_s = 0.0
    async for _ in practice.answer(session_id):
        if not first_s:
            first_s, engine_s = time.perf_counter() - start, usage.engine_s - used.engine_s
    view = await practice.view(session_id)
    line = view.turns[-1]
    prompt, evaluated = before, 0
    if asked := usage.calls - used.calls:
        # Every try at a line has the same prompt.
        prompt = (usage.prompt_tokens - used.prompt_tokens) // asked
        evaluated = usage.evaluated_tokens - used.evaluated_tokens
    modelled = line.source == "model"
    return PlayedTurn(
        agent=reply,
        customer=line.text,
        mood=view.state.mood,
        source=line.source or "",
        rejected=line.rejected,
        released=view.state.released,
        cues=view.state.cues,
        new_tokens=max(0, prompt - before),
        evaluated_tokens=evaluated,
        written_tokens=usage.written_tokens - used.written_tokens,
        first_s=first_s if modelled else 0.0,
        engine_s=engine_s if modelled else 0.0,
    ), prompt
