"""The grader on the project's own labelled set: every scene by a judge that never saw it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from warmline.detectors import Span
from warmline.errors import NotGraded
from warmline.grader.agreement import Agreement, agreement_of
from warmline.grader.evidence import stands_verbatim
from warmline.grader.features import Numbers
from warmline.grader.grading import Grader, MemoryBook
from warmline.grader.judging import Reading
from warmline.grader.learned import LearnedJudge, Model, Weights, shipped_judge
from warmline.grader.scoring import Grade, StepGrade
from warmline.grader.training import TrainingTable, reply_table, sentence_table
from warmline.labelled import (
    LabelledScene,
    Quality,
    exchanges,
    read_faults,
    read_scene_files,
    read_scenes,
)
from warmline.library import Entry, Library
from warmline.rubric import Rubric, Step
from warmline.traits import STEP_TRAITS
from warmline.transcript import Transcript, Turn

#: Of two sessions of a scene, the one of the higher rank must have the higher total. Qualities
#: that are not named here (mixed, mistimed, useless, efficient) are good in parts.
RANK: dict[Quality, int] = {"warm": 2, "stock": 1, "cold": 0, "blaming": 0}
#: A labelled level from which on a reply has reached a step.
REACHED = 4
#: The model that finds quotes is trained anew for each of so many parts of the scenes.
QUOTE_PARTS = 12


@dataclass
class Sessions:
    """What was found in whole sessions: the order of qualities, passes, failures, and quotes.

    Of the quotes ``showing`` a step, ``marked`` hold words that the labels mark for it, and for
    ``nothing_marked`` the labels mark no words in the whole session. ``good`` counts steps that
    some reply of a session reached (`REACHED` or more), ``good_unclear`` those left unclear. A
    session ``blames`` where words in it are marked as blame, and is ``innocent`` where none are;
    failing counts where a step failed it outright.
    """

    pairs: int = 0
    ordered: int = 0
    wrong: list[str] = field(default_factory=list)
    blaming: int = 0
    blaming_passed: int = 0
    blames: int = 0
    blames_failed: int = 0
    innocent: int = 0
    innocent_failed: int = 0
    sessions: int = 0
    not_graded: int = 0
    quotes: int = 0
    verbatim: int = 0
    showing: int = 0
    marked: int = 0
    nothing_marked: int = 0
    good: int = 0
    good_unclear: int = 0


@dataclass
class OwnSet(Sessions):
    """The same of the labelled set, and agreement per step, with and without kinds of features."""

    exchanges: int = 0
    scenes: int = 0
    steps: dict[str, Agreement] = field(default_factory=dict)
    without: dict[str, float] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """The mean kappa over the steps."""
        return float(np.mean([one.kappa for one in self.steps.values()]))


async def on_own_set(
    folder: Path, rubric: Entry[Rubric], tell: Callable[[str], None] = lambda line: None
) -> OwnSet:
    """Leave one scene out at a time: train on the others, grade this one.

    Raises:
        FileProblems: if the labelled set cannot be read.
    """
    scenes = read_scenes(folder)
    labelled = list(exchanges(scenes))
    table = reply_table(labelled)
    found = OwnSet(exchanges=len(labelled), scenes=len({one.scene for one in labelled}))
    raw = np.zeros((len(labelled), len(table.traits)))
    judges: dict[str, Model] = {}
    for number, (training, testing) in enumerate(table.folds(found.scenes)):
        model = Model(table.fit(training))
        raw[testing] = model.raw([table.seen[row] for row in testing])
        judges[table.scenes[testing[0]]] = model
        if number % 20 == 0:
            tell(f"scene {number + 1} of {found.scenes}")
    stretch = table.stretch(raw)
    for step in STEP_TRAITS:
        found.steps[step] = _agreed(table, raw, stretch, step, 500)
    found.without = ablation(table)
    shipped = shipped_judge()
    finders = _finders(sentence_table(labelled, read_faults(folder)), shipped)
    for scene, one in itertools.groupby(scenes, key=lambda session: session.scene):
        weights = replace(judges[scene].weights, stretch=stretch.astype(np.float32))
        judge = LearnedJudge(
            weights,
            finders[scene],
            shipped.strangers.weights,
            shipped.voices.weights,
            shipped.about,
        )
        await _grade_scene(found, list(one), Grader(None, rubric, MemoryBook(), judge=judge))
    return found


async def on_kept_back(folder: Path, rubric: Entry[Rubric]) -> dict[str, Sessions]:
    """Grade whole sessions that no judge was ever trained on, by the shipped judge.

    What was found is told for each file of the folder (see `read_scene_files`).

    Raises:
        FileProblems: if one cannot be read.
    """
    found = {}
    grader = Grader(None, rubric, MemoryBook())
    for name, scenes in read_scene_files(folder).items():
        found[name] = Sessions()
        for _, one in itertools.groupby(scenes, key=lambda session: session.scene):
            await _grade_scene(found[name], list(one), grader)
    return found


def _agreed(
    table: TrainingTable, raw: Numbers, stretch: Numbers, step: str, drawn: int
) -> Agreement:
    targets = table.targets[step][: table.tested]
    known = ~np.isnan(targets)
    levels = table.levels(raw, stretch, step)[known]
    return agreement_of(levels, targets[known].astype(np.int64), drawn)


def _finders(table: TrainingTable, shipped: LearnedJudge) -> dict[str, Weights]:
    """For each scene the weights of a model that finds quotes and never saw that scene."""
    found = {}
    for training, testing in table.folds(QUOTE_PARTS):
        weights = replace(table.fit(training), stretch=shipped.sentences.weights.stretch)
        found.update({table.scenes[row]: weights for row in testing})
    return found


def ablation(table: TrainingTable) -> dict[str, float]:
    """The mean kappa without each block of features, by ten-fold cross-validation over scenes."""

    def mean(blocks: TrainingTable) -> float:
        raw = blocks.held_out()
        stretch = blocks.stretch(raw)
        kappas = []
        for step in STEP_TRAITS:
            kappas.append(_agreed(blocks, raw, stretch, step, 1).kappa)
        return float(np.mean(kappas))

    return {
        "all features": mean(table),
        "without sentence vectors": mean(table.without("vectors")),
        "without words": mean(table.without("words")),
        "without detectors and counts": mean(table.without("measured")),
    }


async def _grade_scene(found: Sessions, scene: Sequence[LabelledScene], grader: Grader) -> None:
    """Grade a scene's whole sessions, and look at their order, their passes and their quotes."""
    totals: list[tuple[LabelledScene, Grade]] = []
    for session in scene:
        if sum(bool(turn.levels) for turn in session.turns) < 2:
            continue
        found.sessions += 1
        try:
            grade = await graded(grader, session.transcript())
        except NotGraded:
            found.not_graded += 1
            continue
        for step in grade.steps:
            found.quotes += len(step.evidence)
            found.verbatim += sum(stands_verbatim(q, session.transcript()) for q in step.evidence)
            _compare_quotes(found, session, step)
        if session.quality == "blaming":
            found.blaming += 1
            found.blaming_passed += bool(grade.passed)
        if any("blaming" in turn.faults for turn in session.turns):
            found.blames += 1
            found.blames_failed += bool(grade.failed_by)
        else:
            found.innocent += 1
            found.innocent_failed += bool(grade.failed_by)
        totals.append((session, grade))
    for (one, first), (other, second) in itertools.combinations(totals, 2):
        ranks = RANK.get(one.quality), RANK.get(other.quality)
        if None in ranks or ranks[0] == ranks[1] or first.total is None or second.total is None:
            continue
        found.pairs += 1
        if (first.total > second.total) == (ranks[0] > ranks[1]):  # type: ignore[operator]
            found.ordered += 1
        else:
            found.wrong.append(
                f"{one.id} ({one.quality}) {first.total}, "
                f"{other.id} ({other.quality}) {second.total}"
            )


def _compare_quotes(found: Sessions, session: LabelledScene, step: StepGrade) -> None:
    """Lay the quotes that show a step beside the words that the labels mark for it."""
    levels = [turn.levels.get(step.id) for turn in session.turns]
    reached = any(level is not None and level >= REACHED for level in levels)
    found.good += reached
    found.good_unclear += reached and step.status == "unclear"
    if all(level is None for level in levels):
        return
    anything = any(turn.shows.get(step.id) for turn in session.turns)
    for quote in step.evidence:
        if quote.shows == "for":
            found.showing += 1
            found.nothing_marked += not anything
            turn = session.turns[quote.turn]
            at = turn.text.find(quote.quote)
            found.marked += turn.marks(Span(at, at + len(quote.quote)), step.id)


async def graded(grader: Grader, transcript: Transcript) -> Grade:
    """One grade, without the steps on the way.

    Raises:
        NotGraded: when there is too little to grade.
    """
    last: Grade | None = None
    async for step in grader.grade(transcript):
        if isinstance(step, Grade):
            last = step
    assert last is not None
    return last


@dataclass(frozen=True)
class Pair:
    """A rubric's weak and strong reply to one message, and how near each is to the top level."""

    rubric: str
    step: str
    weak: float
    strong: float

    @property
    def right(self) -> bool:
        """Whether the strong reply is valued higher."""
        return self.strong > self.weak


def pairs(library: Library, judge: LearnedJudge) -> Iterator[Pair]:
    """Every weak/strong pair of every rubric, as the judge values it. None was ever trained on."""
    for entry in library.rubrics.values():
        for step in entry.item.steps:
            if not step.borrows:
                continue
            for example in step.examples:
                weak, strong = (
                    value_of_reply(judge, step, example.customer, reply)
                    for reply in (example.weak, example.strong)
                )
                yield Pair(entry.item.id, step.id, weak, strong)


def exchange_of(heard: str, reply: str) -> Transcript:
    """A customer's message and a reply to it, as a conversation."""
    turns = [Turn(role="customer", text=heard), Turn(role="agent", text=reply)]
    return Transcript(id="pair", turns=turns)


def value_of_reply(judge: LearnedJudge, step: Step, heard: str, reply: str) -> float:
    """How good a reply is by the judge for a step that borrows, 0 to 1, whichever way it counts."""
    found = Reading(judge, exchange_of(heard, reply)).learned(step).get(1, 0.0)
    return found if step.direction == "higher_is_better" else 1 - found
