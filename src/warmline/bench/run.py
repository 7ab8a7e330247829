"""One run of the grader's benchmark: everything it measures, as plain values and as lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from warmline.backends.base import Backend
from warmline.bench.attacks import under_attack
from warmline.bench.cost import cost_of
from warmline.bench.experts import Comparison, against_experts, with_model
from warmline.bench.own_set import on_kept_back, on_own_set, pairs
from warmline.bench.stability import TIMES, stability_of
from warmline.grader.grading import Grader, MemoryBook
from warmline.grader.learned import shipped_judge
from warmline.labelled import LabelledScene, LabelledTranscript, read_scenes
from warmline.library import Entry, Library
from warmline.rubric import Rubric
from warmline.transcript import Transcript, Turn

#: How many turns of the agent the session has whose cost is counted.
COST_TURNS = 10
#: About how many of its replies every check is asked again and again.
STEADY_REPLIES = 2


class GraderBench:
    """Measures the grader; ``found`` fills up with plain values."""

    def __init__(
        self,
        library: Library,
        labelled: Path,
        attacks: Path,
        kept_back: Path,
        *,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.library = library
        self.labelled = labelled
        self.attacks = attacks
        self.kept_back = kept_back
        self.tell = tell
        self.found: dict[str, Any] = {}

    async def without_model(
        self,
        rubric: Entry[Rubric],
        sessions: Sequence[LabelledTranscript],
        *,
        own_set: bool = True,
    ) -> None:
        """Everything that needs no language model."""
        core = self.library.rubric("core")
        if sessions:
            self.tell("Comparing with the experts")
            grader = Grader(None, rubric, MemoryBook())
            self.found["experts"] = [_plain(one) for one in await against_experts(grader, sessions)]
        self.tell("Weak and strong pairs")
        self._pairs()
        self.tell("Attacks")
        scenes = read_scenes(self.labelled)
        attacked = await under_attack(self.attacks, scenes, Grader(None, core, MemoryBook()))
        self.found["attacks"] = {
            **asdict(attacked),
            "share": attacked.share(blind=False),
            "share_blind": attacked.share(blind=True),
        }
        self.tell("Sessions that were kept back")
        kept_back = await on_kept_back(self.kept_back, core)
        self.found["kept back"] = {name: asdict(one) for name, one in kept_back.items()}
        if own_set:
            self.tell("The own labelled set, one scene at a time")
            own = await on_own_set(self.labelled, core, self.tell)
            self.found["own set"] = {
                **asdict(own),
                "steps": {name: one.model_dump() for name, one in own.steps.items()},
                "mean": own.mean,
            }

    async def with_model(
        self, backend: Backend, rubric: Entry[Rubric], sessions: Sequence[LabelledTranscript]
    ) -> None:
        """What the language model adds, what it does alone, and what asking it costs."""
        core = self.library.rubric("core")
        self.tell("The cost of a session when every step is asked")
        asking = Grader(backend, core, MemoryBook(), ask_all=True)
        cost = await cost_of(asking, long_session(read_scenes(self.labelled)))
        self.found["cost"] = {
            **asdict(cost),
            "evaluated": cost.evaluated,
            "share_after": cost.share_after,
            "share_of_all": cost.share_of_all,
        }
        self.tell("The same questions again, and in other words")
        session = long_session(read_scenes(self.labelled))
        steady = await stability_of(backend, core.item, session, replies=STEADY_REPLIES)
        self.found["stability"] = asdict(steady)
        if sessions:
            self.tell("Asking the language model about the experts' sessions")
            grader = Grader(backend, rubric, MemoryBook(), ask_all=True)
            self.found.setdefault("experts", []).extend(
                _plain(one) for one in await with_model(grader, backend, sessions)
            )

    def _pairs(self) -> None:
        rubrics: dict[str, list[int]] = {}
        wrong = []
        for pair in pairs(self.library, shipped_judge()):
            right, of = rubrics.setdefault(pair.rubric, [0, 0])
            rubrics[pair.rubric] = [right + pair.right, of + 1]
            if not pair.right:
                wrong.append(f"{pair.rubric}/{pair.step}")
        self.found["pairs"] = {"rubrics": rubrics, "wrong": wrong}


def long_session(scenes: Sequence[LabelledScene]) -> Transcript:
    """A session of `COST_TURNS` replies, put together from labelled ones."""
    turns: list[Turn] = []
    for scene in scenes:
        if len(scene.turns) < 4 or scene.turns[0].role != "customer":
            continue
        turns += [Turn(role=turn.role, text=turn.text) for turn in scene.turns]
        replies = [number for number, turn in enumerate(turns) if turn.role == "agent"]
        if len(replies) >= COST_TURNS:
            return Transcript(id="long", turns=turns[: replies[COST_TURNS - 1] + 1])
    raise ValueError("the labelled set holds too few sessions")


def _plain(one: Comparison) -> dict[str, Any]:
    assert one.mean is not None
    return {
        "name": one.name,
        "mean": one.mean.model_dump(),
        "steps": {name: agreement.model_dump() for name, agreement in one.steps.items()},
    }


def _agreed(values: dict[str, Any]) -> str:
    return f"{values['kappa']:.2f} [{values['low']:.2f}, {values['high']:.2f}] n={values['n']}"


def _sessions(found: dict[str, Any]) -> Iterator[str]:
    """What was found in whole sessions."""
    yield (
        f"  warm over stock over cold and blaming: {found['ordered']} of {found['pairs']} pairs "
        f"of sessions"
    )
    yield from (f"    not so: {line}" for line in found["wrong"])
    yield f"  blaming sessions that passed: {found['blaming_passed']} of {found['blaming']}"
    yield (
        f"  failed outright: {found['blames_failed']} of {found['blames']} sessions that hold "
        f"words marked as blame, {found['innocent_failed']} of {found['innocent']} that hold none"
    )
    yield f"  quotes verbatim: {found['verbatim']} of {found['quotes']}"
    yield (
        f"  quotes that hold words marked for the step: {found['marked']} of {found['showing']}; "
        f"for {found['nothing_marked']} nothing is marked in the session"
    )
    yield f"  steps that were reached and left unclear: {found['good_unclear']} of {found['good']}"
    yield f"  not graded: {found['not_graded']} of {found['sessions']} sessions"


def lines(found: dict[str, Any]) -> Iterator[str]:
    """What was found, for a person to read."""
    if experts := found.get("experts"):
        yield "Experts (quadratic-weighted kappa, 95 % interval; each session held out):"
        for one in experts:
            yield f"  {one['name']}: {_agreed(one['mean'])}"
            steps = (f"{name} {values['kappa']:.2f}" for name, values in one["steps"].items())
            yield f"      {', '.join(steps)}"
    if own := found.get("own set"):
        yield f"Own set, {own['exchanges']} replies, {own['scenes']} scenes, each held out:"
        for name, values in own["steps"].items():
            yield f"  {name}: {_agreed(values)}"
        yield f"  mean: {own['mean']:.2f}"
        for name, kappa in own["without"].items():
            yield f"  {name}: mean {kappa:.3f} (ten parts)"
        yield from _sessions(own)
    for name, kept_back in found.get("kept back", {}).items():
        yield f"Sessions that no judge was trained on, {name}:"
        yield from _sessions(kept_back)
    if weak_strong := found.get("pairs"):
        yield "Weak and strong pairs of the rubrics, the strong one valued higher:"
        for name, (right, of) in weak_strong["rubrics"].items():
            yield f"  {name}: {right} of {of}"
        yield from (f"    not so: {name}" for name in weak_strong["wrong"])
    if attacks := found.get("attacks"):
        yield (
            f"Attacks that raised some step: {attacks['share']:.3f} of all, and "
            f"{attacks['share_blind']:.3f} of those written blind"
        )
        for kind, number in attacks["tried"].items():
            yield f"  {kind}: {attacks['worked'].get(kind, 0)} of {number}"
        yield from (f"    {example}" for example in attacks["examples"][:20])
    if cost := found.get("cost"):
        yield (
            f"Cost of ten replies with every step asked: {cost['calls']} calls, "
            f"{cost['evaluated']} tokens evaluated, {cost['without_reuse']} without reuse "
            f"({cost['share_of_all']:.2f}), {cost['share_after']:.2f} of them after Finish"
        )
    if steady := found.get("stability"):
        asked = steady["checks"] - steady["silent"]
        yield (
            f"Stability of {asked} checks: {steady['again']} flipped when asked {TIMES} times, "
            f"{steady['in_other_words']} when asked in two other wordings"
        )
