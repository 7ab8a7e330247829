"""The customer's benchmark: every persona against scripted agents, and what went wrong.

What can be counted is counted here, by rules of its own where it can be; whether a line is one
that a customer would write, somebody has to read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from warmline.customer.guard import GuardContext, objection
from warmline.detectors import content_words, near_duplicates
from warmline.persona import Fact, Persona, mentions
from warmline.practice import Practice
from warmline.simulation import Played, PlayedTurn, play

#: A line that shares this part of a fact's content words tells it.
TELLS = 0.6
#: The turn whose tokens are reported.
LATE_TURN = 12
#: Reasons of the guard that mean that the customer has left the role.
LEFT_ROLE = ("speaks as the agent", "speaks as a machine", "speaker label", "markup")
STAGE = "stage direction"
FIGURE = "a number that is not in the record"


@dataclass
class CustomerFigures:
    """Counts over sessions; ``lines`` are the customer's, without openings."""

    sessions: int = 0
    lines: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    left_role: int = 0
    stage: int = 0
    repeats: int = 0
    told_early: int = 0
    unknown_figures: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    #: The height on the ladder at the end, by persona and agent.
    heights: dict[str, dict[str, float]] = field(default_factory=dict)
    endings: Counter[str] = field(default_factory=Counter)
    #: Replies it took to the best mood, by persona: the kind agent's.
    best_after: dict[str, int | None] = field(default_factory=dict)
    #: Of each turn in which the model spoke first: tokens evaluated over new ones.
    token_ratios: list[tuple[int, float]] = field(default_factory=list)
    #: Seconds to the first visible words over the engine's own.
    time_ratios: list[float] = field(default_factory=list)

    def add(self, persona: Persona, played: Played) -> None:
        """Count one session."""
        self.sessions += 1
        self.endings[played.ended or "still talking"] += 1
        self.heights.setdefault(persona.id, {})[played.agent] = played.height
        if played.agent == "kind":
            moods = [turn.mood for turn in played.turns]
            best = persona.moods[-1]
            self.best_after[persona.id] = moods.index(best) + 1 if best in moods else None
        said = [turn.customer for turn in played.turns]
        self.repeats += len(near_duplicates([played.opening, *said]))
        for number, turn in enumerate(played.turns, start=1):
            self._add_turn(persona, played, number, turn)

    def _add_turn(self, persona: Persona, played: Played, number: int, turn: PlayedTurn) -> None:
        self.lines += 1
        self.sources[turn.source] += 1
        self.rejected.update(reason.split(":")[0] for reason in turn.rejected)
        problem = objection(
            turn.customer,
            GuardContext(
                persona,
                persona.moods[-1],
                released=tuple(fact.id for fact in persona.facts),
                said=tuple(one.customer for one in played.turns[: number - 1]),
                heard=tuple(one.agent for one in played.turns[:number]),
            ),
        )
        self.left_role += problem in LEFT_ROLE
        self.stage += problem == STAGE
        self.unknown_figures += bool(problem and problem.startswith(FIGURE))
        self.told_early += any(
            fact.id not in turn.released and fact.reveal != "freely" and tells(turn.customer, fact)
            for fact in persona.facts
        )
        if turn.new_tokens:
            self.token_ratios.append((number, turn.evaluated_tokens / turn.new_tokens))
        if turn.engine_s:
            self.time_ratios.append(turn.first_s / turn.engine_s)

    def tokens_at(self, turn: int) -> float | None:
        """Tokens evaluated over new ones at a turn, in the middle session."""
        found = [ratio for number, ratio in self.token_ratios if number == turn]
        return median(found) if found else None


def tells(line: str, fact: Fact) -> bool:
    """Whether a line gives a fact away: one of its own words, or most of what it says."""
    if any(mentions(line, word) for word in fact.giveaways):
        return True
    says = set(content_words(fact.says))
    return bool(says) and len(says & set(content_words(line))) >= TELLS * len(says)


async def play_all(
    practice: Practice,
    personas: Sequence[Persona],
    agents: Sequence[str],
    *,
    turns: int,
    tell: Callable[[str], None] = lambda line: None,
    keep: Callable[[Played], None] = lambda played: None,
) -> CustomerFigures:
    """Play every persona against every agent; ``keep`` gets each session when it is over.

    Raises:
        BackendError: when the model fails.
    """
    figures = CustomerFigures()
    for persona in personas:
        for agent in agents:
            played = await play(practice, persona, agent, turns=turns)
            figures.add(persona, played)
            keep(played)
            tell(f"{persona.id}, {agent}: {len(played.turns)} turns, {played.mood}")
    return figures


def lines(found: CustomerFigures) -> Iterator[str]:
    """What was found, for a person to read."""
    yield f"{found.sessions} sessions, {found.lines} lines of the customer after the opening"
    for source, number in sorted(found.sources.items()):
        yield f"  {source}: {number} ({number / found.lines:.1%})"
    yield f"  held back by the guard: {sum(found.rejected.values())} sentences"
    for reason, number in found.rejected.most_common():
        yield f"    {reason}: {number}"
    yield f"Left the role, by the guard's rules: {found.left_role}"
    yield f"Stage directions: {found.stage}"
    yield f"Lines that say an earlier one again: {found.repeats}, {found.repeats / found.lines:.1%}"
    yield f"Facts told too early: {found.told_early}"
    yield f"Figures that are not in the record: {found.unknown_figures}"
    yield "Mood at the end, 0 the worst and 1 the best:"
    names = list(next(iter(found.heights.values())))
    for persona, heights in found.heights.items():
        ends = ", ".join(f"{name} {heights[name]:.2f}" for name in names)
        best = found.best_after.get(persona)
        yield f"  {persona}: {ends}" + (f"; at best after {best} replies" if best else "")
    for name in names:
        yield f"  mean {name}: {fmean(one[name] for one in found.heights.values()):.2f}"
    yield "Endings: " + ", ".join(f"{name} {number}" for name, number in found.endings.items())
    if found.token_ratios:
        middle = median(ratio for _, ratio in found.token_ratios)
        late = found.tokens_at(LATE_TURN)
        yield f"Tokens evaluated over new ones: median {middle:.2f}" + (
            f", at turn {LATE_TURN} {late:.2f}" if late else ""
        )
    if found.time_ratios:
        yield (
            f"First visible words, our seconds over the engine's: median "
            f"{median(found.time_ratios):.3f}, mean {fmean(found.time_ratios):.3f}"
        )
