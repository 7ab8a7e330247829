"""Training the learned judge on the labelled exchanges: ``make judge``.

One linear model a trait over the same features: a ridge regression for levels and for who is meant
or speaking, a logistic one for what a reply or sentence shows, which is rare. Both have one
solution, so that the same labelled set gives the same judge. Whole scenes are held out when it is
measured: a judge that has seen a scene's customer would know too much.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold

from warmline.detectors import Exchange, sentences
from warmline.errors import FileProblems, Problem
from warmline.grader import features
from warmline.grader.agreement import weighted_kappa
from warmline.grader.features import Numbers
from warmline.grader.learned import (
    HIGHEST,
    JUDGE_FILE,
    LOWEST,
    MEASURED_WEIGHT,
    STRANGE,
    VECTOR_WEIGHT,
    VOICES,
    WORD_WEIGHT,
    LearnedJudge,
    Model,
    Weights,
    vectorizer,
)
from warmline.grader.spoken import spoken
from warmline.labelled import (
    TOLD_FAULTS,
    LabelledExchange,
    exchanges,
    read_faults,
    read_scenes,
)
from warmline.traits import FAULTS, OCCASIONS, STEP_TRAITS

#: How strongly the regressions are held back: ridge the more the higher, logistic the more the
#: lower. Chosen by cross-validation.
ALPHA = 3.0
LOGISTIC_C = 2.0
#: A word or word pair that fewer replies hold is left out.
LEAST_REPLIES = 3
#: Scenes are held out in this many parts when levels are stretched and agreement is measured.
FOLDS = 10
SEED = 20260303

Levels = npt.NDArray[np.int64]


class TrainingTable:
    """Replies or sentences with their features, their scenes, and what is to be told of them.

    ``targets`` has one number a row for each trait: a level for those in ``levels``, else 0 or 1;
    NaN where there is no label. The last ``beside`` rows are always trained on and never tested:
    how often something occurs in them says nothing of real conversations. Where the traits are
    ``rare`` a logistic regression finds more of them; words for somebody else it finds less
    reliably.
    """

    def __init__(
        self,
        seen: Sequence[Exchange],
        scenes: Sequence[str],
        targets: Mapping[str, Numbers],
        levels: Sequence[str],
        beside: int = 0,
        rare: bool = False,
    ) -> None:
        self.seen = list(seen)
        self.tested = len(self.seen) - beside
        self.scenes = list(scenes)
        self.targets = dict(targets)
        self.traits = tuple(targets)
        self.is_level = np.array([trait in levels for trait in self.traits])
        self.by_ridge = self.is_level | (not rare)
        self.measured = features.measurements(self.seen)
        self.vectors = features.vectors(self.seen)
        self.left_out: frozenset[str] = frozenset()

    def without(self, block: Literal["measured", "vectors", "words"]) -> TrainingTable:
        """The same table with one block of features left out, to see what it is worth."""
        other = copy(self)
        other.left_out = self.left_out | {block}
        return other

    def fit(self, rows: Sequence[int] | None = None) -> Weights:
        """Train on some rows, or on all; the stretch is still neutral."""
        chosen = np.arange(len(self.seen)) if rows is None else np.asarray(rows)
        mean = self.measured[chosen].mean(axis=0)
        scale = self.measured[chosen].std(axis=0) + 1e-6
        words = vectorizer(min_df=LEAST_REPLIES)
        counted = words.fit_transform([self.seen[row].reply for row in chosen])
        dense = np.hstack(
            [
                (self.measured[chosen] - mean) / scale * MEASURED_WEIGHT,
                self.vectors[chosen] * VECTOR_WEIGHT,
            ]
        )
        table = sp.csr_matrix(sp.hstack([sp.csr_matrix(dense), counted * WORD_WEIGHT]))
        if self.left_out:
            table = table @ sp.diags(self._kept(mean.size, table.shape[1]))
        coef = np.zeros((len(self.traits), table.shape[1]))
        intercept = np.zeros(len(self.traits))
        for index, trait in enumerate(self.traits):
            values = self.targets[trait][chosen]
            known = ~np.isnan(values)
            # To the last digits: a looser solver would end a little elsewhere on each machine.
            fitted = (
                Ridge(alpha=ALPHA, solver="lsqr", tol=1e-8)
                if self.by_ridge[index]
                else LogisticRegression(C=LOGISTIC_C, tol=1e-6, max_iter=1000)
            )
            fitted.fit(table[known], values[known])
            coef[index] = np.ravel(fitted.coef_)
            intercept[index] = np.ravel(fitted.intercept_)[0]
        return Weights(
            traits=self.traits,
            vocabulary=tuple(words.get_feature_names_out()),
            is_level=self.is_level,
            idf=words.idf_.astype(np.float32),
            mean=mean.astype(np.float32),
            scale=scale.astype(np.float32),
            coef=coef.astype(np.float16),
            intercept=intercept.astype(np.float32),
            stretch=np.tile(np.array([0.0, 1.0], dtype=np.float32), (len(self.traits), 1)),
        )

    def _kept(self, measured: int, width: int) -> Numbers:
        kept = np.ones(width)
        vectors = measured + self.vectors.shape[1]
        for block, columns in (
            ("measured", slice(0, measured)),
            ("vectors", slice(measured, vectors)),
            ("words", slice(vectors, None)),
        ):
            if block in self.left_out:
                kept[columns] = 0.0
        return kept

    def folds(self, folds: int = FOLDS) -> Iterator[tuple[list[int], list[int]]]:
        """Rows to train on and rows to test on, whole scenes at a time."""
        scenes = self.scenes[: self.tested]
        beside = list(range(self.tested, len(self.seen)))
        number = min(folds, len(set(scenes)))
        for training, testing in GroupKFold(number).split(scenes, groups=scenes):
            yield training.tolist() + beside, testing.tolist()

    def held_out(self, folds: int = FOLDS) -> Numbers:
        """Each tested row's raw sums by a model that never saw its scene: ``(rows, traits)``."""
        raw = np.zeros((self.tested, len(self.traits)))
        for training, testing in self.folds(folds):
            raw[testing] = Model(self.fit(training)).raw([self.seen[row] for row in testing])
        return raw

    def stretch(self, raw: Numbers) -> Numbers:
        """How raw sums become levels or log-odds: shift and slope of each trait."""
        stretch = np.zeros((len(self.traits), 2))
        for index, trait in enumerate(self.traits):
            targets = self.targets[trait][: self.tested]
            known = ~np.isnan(targets)
            sums, values = raw[known, index], targets[known]
            if self.is_level[index]:
                slope = values.std() / sums.std()
                stretch[index] = values.mean() - slope * sums.mean(), slope
            else:
                fitted = LogisticRegression(C=1e3).fit(sums[:, None], values)
                stretch[index] = fitted.intercept_[0], fitted.coef_[0, 0]
        return stretch

    def levels(self, raw: Numbers, stretch: Numbers, trait: str) -> Levels:
        """The levels that raw sums stand for."""
        index = self.traits.index(trait)
        stretched = stretch[index, 0] + stretch[index, 1] * raw[:, index]
        rounded: Levels = np.clip(np.rint(stretched), LOWEST, HIGHEST).astype(np.int64)
        return rounded

    def trained(self, raw: Numbers) -> Weights:
        """The model that all rows make, stretched by what held-out models found."""
        return replace(self.fit(), stretch=self.stretch(raw).astype(np.float32))


def reply_table(labelled: Sequence[LabelledExchange]) -> TrainingTable:
    """Every labelled reply: the level of each step, whether it has each fault, and its occasion.

    Replies that are labelled for their faults alone are none of these: every second one blames, and
    a judge that is trained on them suspects every polite reply.
    """
    targets: dict[str, Numbers] = {}
    for step in STEP_TRAITS:
        levels = [one.turn.levels.get(step) for one in labelled]
        targets[step] = np.array([np.nan if v is None else float(v) for v in levels])
    for fault in FAULTS:
        targets[fault] = np.array([float(fault in one.turn.faults) for one in labelled])
    for step, occasion in OCCASIONS.items():
        targets[occasion] = (~np.isnan(targets[step])).astype(float)
    return TrainingTable(
        [as_read(one) for one in labelled],
        [one.scene for one in labelled],
        targets,
        STEP_TRAITS,
        rare=True,
    )


def as_read(one: LabelledExchange) -> Exchange:
    """An exchange as the judge will meet it."""
    return Exchange(spoken(one.exchange.reply), one.exchange.heard)


def sentence_table(
    labelled: Sequence[LabelledExchange], faulty: Sequence[LabelledExchange] = ()
) -> TrainingTable:
    """Every sentence of the labelled replies: whether words that show a trait stand in it.

    ``faulty`` are replies of which no more is told than `TOLD_FAULTS`.
    """
    seen: list[Exchange] = []
    scenes: list[str] = []
    targets: dict[str, list[float]] = {trait: [] for trait in (*STEP_TRAITS, *FAULTS)}
    beside = 0
    for one in [*labelled, *faulty]:
        only_faults = not one.turn.levels
        for span in sentences(one.exchange.reply):
            seen.append(Exchange(span.of(one.exchange.reply), one.exchange.heard))
            scenes.append(one.scene)
            beside += only_faults
            for trait, found in targets.items():
                untold = only_faults and trait not in TOLD_FAULTS.values()
                found.append(np.nan if untold else float(one.turn.marks(span, trait)))
    return TrainingTable(
        seen,
        scenes,
        {trait: np.array(found) for trait, found in targets.items()},
        (),
        beside,
        rare=True,
    )


def stranger_table(
    labelled: Sequence[LabelledExchange],
    strangers: Sequence[str],
    agents: Sequence[str] = (),
) -> TrainingTable:
    """Sentences that agents said to customers, and texts that are meant for somebody else.

    ``agents`` are lines of agents that belong to no conversation.
    """
    said = [
        (Exchange(span.of(one.exchange.reply), one.exchange.heard), one.scene)
        for one in labelled
        for span in sentences(one.exchange.reply)
    ]
    chance = random.Random(SEED)  # noqa: S311

    def placed(texts: Sequence[str]) -> list[tuple[Exchange, str]]:
        """Each sentence put into two conversations: it could stand in any."""
        return [
            (Exchange(span.of(text), chance.choice(labelled).exchange.heard), text)
            for text in texts
            for span in sentences(text)
            for _ in range(2)
        ]

    said += placed(agents)
    pieces = placed(strangers)
    seen = [one for one, _ in (*said, *pieces)]
    scenes = [scene for _, scene in (*said, *pieces)]
    strange = np.array([0.0] * len(said) + [1.0] * len(pieces))
    return TrainingTable(seen, scenes, {STRANGE: strange}, ())


def voice_table(lines: Sequence[tuple[str, str]]) -> TrainingTable:
    """Lines with who is speaking in them; every line is a scene of its own."""
    targets = {
        voice: np.array([float(spoken_by == voice) for spoken_by, _ in lines]) for voice in VOICES
    }
    seen = [Exchange(line) for _, line in lines]
    return TrainingTable(seen, [line for _, line in lines], targets, ())


def read_voices(folder: Path) -> list[tuple[str, str]]:
    """The lines of ``voices.tsv``: who is speaking, and the line.

    Raises:
        FileProblems: if the file cannot be read, or a line names no voice.
    """
    file = folder / "voices.tsv"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise FileProblems([Problem(file, 1, "", f"cannot be read: {error}")]) from error
    found = []
    for number, line in enumerate(lines, start=1):
        voice, _, words = line.partition("\t")
        if voice not in VOICES or not words.strip():
            known = ", ".join(VOICES)
            raise FileProblems([Problem(file, number, "", f"begin with one of {known} and a tab")])
        found.append((voice, words.strip()))
    return found


def agents_of(voices: Sequence[tuple[str, str]]) -> list[str]:
    """The lines in which an agent is speaking."""
    return [line for voice, line in voices if voice == "agent"]


def read_strangers(folder: Path) -> list[str]:
    """The texts of ``strangers.txt``, one a line.

    Raises:
        FileProblems: if the file cannot be read.
    """
    file = folder / "strangers.txt"
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise FileProblems([Problem(file, 1, "", f"cannot be read: {error}")]) from error
    return [line.strip() for line in lines if line.strip()]


def agreement(table: TrainingTable, raw: Numbers) -> dict[str, float]:
    """Quadratic-weighted kappa with the labels, for each step."""
    stretch = table.stretch(raw)
    found = {}
    for trait in STEP_TRAITS:
        targets = table.targets[trait][: table.tested]
        known = ~np.isnan(targets)
        levels = table.levels(raw, stretch, trait)[known]
        found[trait] = weighted_kappa(levels, targets[known].astype(np.int64))
    return found


def within_one(table: TrainingTable, raw: Numbers) -> float:
    """The share of levels, over all steps, that are at most one away from the label."""
    stretch = table.stretch(raw)
    near = []
    for trait in STEP_TRAITS:
        targets = table.targets[trait][: table.tested]
        known = ~np.isnan(targets)
        found = table.levels(raw, stretch, trait)[known]
        near += (np.abs(found - targets[known]) <= 1).tolist()
    return float(np.mean(near))


def taken(table: TrainingTable, raw: Numbers) -> dict[str, float]:
    """The share of sentences taken for strange: of those said to customers, and of the others."""
    shift, slope = table.stretch(raw)[0]
    strange = shift + slope * raw[:, 0] >= 0
    meant = table.targets[STRANGE] == 0
    return {"said": float(strange[meant].mean()), "strange": float(strange[~meant].mean())}


def mark_of(labelled: Sequence[LabelledExchange], strangers: Sequence[str]) -> str:
    """Names exactly what grades were trained on: 16 hex digits."""
    told = "\n".join([*(repr((one.exchange, one.turn)) for one in labelled), *strangers])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def mark_of_voices(voices: Sequence[tuple[str, str]]) -> str:
    """Names exactly what voices were trained on, apart from what grades: 16 hex digits."""
    return hashlib.sha256("\n".join(map(repr, voices)).encode()).hexdigest()[:16]


def train(
    labelled: Sequence[LabelledExchange],
    faulty: Sequence[LabelledExchange],
    strangers: Sequence[str],
    voices: Sequence[tuple[str, str]],
) -> LearnedJudge:
    """The judge that these make: exchanges labelled in full and for their faults, and the others.

    The others are texts for somebody else, and lines with voices.
    """
    replies = reply_table(labelled)
    raw = replies.held_out()
    quotes = sentence_table(labelled, faulty)
    agents = agents_of(voices)
    others = stranger_table(labelled, strangers, agents)
    unseen = others.held_out(3)
    speakers = voice_table(voices)
    return LearnedJudge(
        replies.trained(raw),
        quotes.trained(quotes.held_out(3)),
        others.trained(unseen),
        speakers.trained(speakers.held_out()),
        {
            "features": features.FEATURES_VERSION,
            "exchanges": len(labelled),
            "scenes": len({one.scene for one in labelled}),
            "labelled": mark_of([*labelled, *faulty], [*strangers, *agents]),
            "voices": mark_of_voices(voices),
            "within_one": round(within_one(replies, raw), 3),
            "strange": {name: round(share, 3) for name, share in taken(others, unseen).items()},
            "agreement": {name: round(kappa, 3) for name, kappa in agreement(replies, raw).items()},
        },
    )


def main(folder: Path, file: Path = JUDGE_FILE) -> None:
    """Train on a folder of labelled conversations, write the judge, and say how good it is."""
    judge = train(
        list(exchanges(read_scenes(folder))),
        read_faults(folder),
        read_strangers(folder),
        read_voices(folder),
    )
    judge.save(file)
    about = judge.about
    say = sys.stdout.write
    say(f"{about['exchanges']} exchanges in {about['scenes']} scenes, ")
    say(f"{file.stat().st_size // 1024} KiB; agreement on scenes held out (weighted kappa):\n")
    for name, kappa in judge.agreement.items():
        say(f"  {name:12} {kappa:.2f}\n")
    say(f"  mean         {np.mean(list(judge.agreement.values())):.2f}\n")
    share = about["strange"]
    say(
        f"taken for words to somebody else, of sentences held out: {share['strange']:.0%} of those "
    )
    say(f"that are, {share['said']:.0%} of what agents said to customers\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
