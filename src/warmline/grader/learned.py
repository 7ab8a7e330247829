"""The learned judge: four small models of what labelled lines look like.

They were trained on the project's own labelled exchanges (``rubrics/labelled/``) by ``make judge``
and lie beside this module. One reads a reply and gives a level for each core step, and a
probability for each fault; one reads single sentences and says which of them shows it; one says
whether a sentence is meant for the customer at all; and one says who is speaking in a line that is
meant to be the customer's. All take milliseconds. They have no idea of
any other step, which is why a rubric's steps say which of these **traits** they resemble.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer

from warmline.detectors import Exchange
from warmline.errors import WarmlineError
from warmline.grader import features
from warmline.grader.features import Numbers

JUDGE_FILE = Path(__file__).with_name("judge.npz")

#: How much each block of features weighs before the regression; chosen by cross-validation.
MEASURED_WEIGHT = 0.15
VECTOR_WEIGHT = 0.5
WORD_WEIGHT = 1.6

#: Levels of the labelled set.
LOWEST, HIGHEST = 1, 5

#: With a smaller share of known words a reply is not in the language the judge was trained on.
LEAST_KNOWN = 0.5

#: The one trait of the third model: that a sentence is meant for somebody else.
STRANGE = "strange"

#: Who may be speaking in a line: the traits of the fourth model. ``content`` is a customer who
#: sounds as if all were well.
VOICES = ("customer", "content", "agent", "machine", "stage")

#: For each trait a number from 0 to 1: how far a step was reached, or a probability.
Values = Mapping[str, float]


def vectorizer(**options: Any) -> TfidfVectorizer:
    """How words and word pairs are counted, in training and afterwards."""
    return TfidfVectorizer(
        tokenizer=features.words_of,
        token_pattern=None,
        lowercase=False,
        ngram_range=(1, 2),
        sublinear_tf=True,
        **options,
    )


@dataclass(frozen=True)
class Weights:
    """One trained model; row ``i`` of ``coef`` and of the other arrays belongs to ``traits[i]``.

    ``stretch`` (shift, slope) turns a raw sum into a level, or into log-odds where ``is_level`` is
    false: a regression is timid, and its sums crowd together.
    """

    traits: tuple[str, ...]
    vocabulary: tuple[str, ...]
    is_level: npt.NDArray[np.bool_]
    idf: npt.NDArray[np.float32]
    mean: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    coef: npt.NDArray[np.float16]
    intercept: npt.NDArray[np.float32]
    stretch: npt.NDArray[np.float32]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as arrays of numbers, for a file."""
        return {
            **self.__dict__,
            "traits": _bytes("\n".join(self.traits)),
            "vocabulary": _bytes("\n".join(self.vocabulary)),
        }

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Weights:
        """What `arrays` was made of."""
        fields: dict[str, Any] = {
            **arrays,
            "traits": tuple(_text(arrays["traits"]).split("\n")),
            "vocabulary": tuple(_text(arrays["vocabulary"]).split("\n")),
        }
        return cls(**fields)


def _bytes(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _text(array: npt.NDArray[np.uint8]) -> str:
    return array.tobytes().decode()


class Model:
    """Applies trained weights to replies, or to sentences."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._words = vectorizer(vocabulary=list(weights.vocabulary))
        self._words.idf_ = weights.idf.astype(np.float64)
        self._coef = weights.coef.astype(np.float64)
        self.known_words = frozenset(word for word in weights.vocabulary if " " not in word)

    def raw(self, exchanges: Sequence[Exchange]) -> Numbers:
        """The regressions' own sums, before stretching: shape ``(replies, traits)``."""
        if not exchanges:
            return np.zeros((0, len(self.weights.traits)))
        words = self._words.transform([one.reply for one in exchanges])
        dense = np.hstack(
            [
                (features.measurements(exchanges) - self.weights.mean)
                / self.weights.scale
                * MEASURED_WEIGHT,
                features.vectors(exchanges) * VECTOR_WEIGHT,
            ]
        )
        split = dense.shape[1]
        summed = dense @ self._coef[:, :split].T + words @ (self._coef[:, split:].T * WORD_WEIGHT)
        raw: Numbers = np.asarray(summed) + self.weights.intercept
        return raw

    def values(self, exchanges: Sequence[Exchange]) -> list[dict[str, float]]:
        """Each trait of each reply, from 0 to 1."""
        shift, slope = self.weights.stretch[:, 0], self.weights.stretch[:, 1]
        stretched = shift + slope * self.raw(exchanges)
        shares = np.clip((stretched - LOWEST) / (HIGHEST - LOWEST), 0.0, 1.0)
        odds = 1 / (1 + np.exp(-np.clip(stretched, -30, 30)))
        return [
            dict(zip(self.weights.traits, row, strict=True))
            for row in np.where(self.weights.is_level, shares, odds).tolist()
        ]


class LearnedJudge:
    """Reads whole replies for their levels, and single sentences for what they show.

    ``about`` says what it was trained on, and how well it agrees with labels it had not seen.
    """

    def __init__(
        self,
        replies: Weights,
        sentences: Weights,
        strangers: Weights,
        voices: Weights,
        about: Mapping[str, Any],
    ) -> None:
        self.replies = Model(replies)
        self.sentences = Model(sentences)
        self.strangers = Model(strangers)
        self.voices = Model(voices)
        self.about = about

    def read(self, exchanges: Sequence[Exchange]) -> list[Values]:
        """What the judge makes of each reply; nothing for one in a language it cannot read."""
        readable = [self.can_read(one.reply) for one in exchanges]
        values = iter(
            self.replies.values([one for one, can in zip(exchanges, readable, strict=True) if can])
        )
        return [next(values) if can else {} for can in readable]

    def shows(self, sentences: Sequence[Exchange]) -> list[dict[str, float]]:
        """How likely each sentence, given as a reply of its own, shows each trait."""
        return self.sentences.values(sentences)

    def strange(self, sentences: Sequence[Exchange]) -> list[float]:
        """How likely each sentence is meant for somebody other than the customer."""
        return [one[STRANGE] for one in self.strangers.values(sentences)]

    def voice(self, line: str) -> Values:
        """How likely each of the `VOICES` is speaking in a line; each is told on its own."""
        return self.voices.values([Exchange(line)])[0]

    def can_read(self, reply: str) -> bool:
        """Whether enough of the words are known from the labelled exchanges."""
        words = [word for word in features.words_of(reply) if word[0].isalpha()]
        known = sum(word in self.replies.known_words for word in words)
        return known > 0 and known >= LEAST_KNOWN * len(words)

    @property
    def agreement(self) -> dict[str, float]:
        """How well each step was told on scenes held out in training: weighted kappa."""
        return {str(name): float(kappa) for name, kappa in self.about["agreement"].items()}

    @property
    def within_one(self) -> float:
        """The share of levels, on scenes held out in training, at most one from the label."""
        return float(self.about.get("within_one", 0.0))

    @property
    def version(self) -> str:
        """Names the labelled set and the features it was trained on."""
        return f"{self.about['labelled']}-{self.about['features']}"

    def save(self, file: Path) -> None:
        """Write everything to one file, the same bytes each time."""
        parts = {
            "replies": self.replies.weights,
            "sentences": self.sentences.weights,
            "strangers": self.strangers.weights,
            "voices": self.voices.weights,
        }
        np.savez_compressed(
            file,
            allow_pickle=False,
            about=_bytes(json.dumps(self.about, sort_keys=True)),
            **{
                f"{part}.{name}": array
                for part, weights in parts.items()
                for name, array in weights.arrays().items()
            },
        )

    @classmethod
    def load(cls, file: Path) -> LearnedJudge:
        """Read what `save` wrote.

        Raises:
            WarmlineError: if the file is not there, is not such a file, or is of another version.
        """
        try:
            with np.load(file, allow_pickle=False) as stored:
                arrays = dict(stored)
            about = json.loads(_text(arrays.pop("about")))
            parts: dict[str, dict[str, npt.NDArray[Any]]] = {}
            for name, array in arrays.items():
                part, _, field = name.partition(".")
                parts.setdefault(part, {})[field] = array
            judge = cls(
                Weights.of(parts["replies"]),
                Weights.of(parts["sentences"]),
                Weights.of(parts["strangers"]),
                Weights.of(parts["voices"]),
                about,
            )
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise WarmlineError(
                f"The learned judge {file} cannot be read ({error}). Make it anew: make judge"
            ) from error
        if about.get("features") != features.FEATURES_VERSION:
            raise WarmlineError(
                f"The learned judge {file} was trained on other features. Make it anew: make judge"
            )
        return judge


def both_show(reply: float, sentence: float) -> float:
    """How likely a fault is, by what a reply shows of it and what a sentence of it does, 0 to 1.

    A sentence alone can mislead, and a reply does not say where: both have to show it.
    """
    return sqrt(reply * sentence)


@cache
def shipped_judge() -> LearnedJudge:
    """The judge that comes with Warmline.

    Raises:
        WarmlineError: if its file is missing or broken.
    """
    return LearnedJudge.load(JUDGE_FILE)
