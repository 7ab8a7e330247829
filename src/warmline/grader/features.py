"""What the learned judge sees of one reply: detectors, counts, words, and sentence vectors."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from warmline.backends.vectors import sentence_vectors
from warmline.detectors import SIGNALS, Exchange, content_words, detect, sentences

#: Named in the judge's file; a judge trained on other features is refused.
FEATURES_VERSION = "features-1"

#: The detectors in a fixed order: the order of the numbers.
DETECTORS = sorted(SIGNALS - {"orders_the_model"})
#: A detector's findings count up to here.
MOST_FINDINGS = 3

FIRST_PERSON = frozenset({"i", "i'm", "i'll", "i've", "i'd", "my", "me", "myself"})
SECOND_PERSON = frozenset({"you", "your", "you're", "you've", "you'll", "yours", "yourself"})

COUNTS = (
    "words",
    "sentences",
    "words a sentence",
    "question marks",
    "exclamation marks",
    "a number",
    "first person",
    "second person",
    "own words shared with the customer",
    "customer's words shared",
    "shared words",
)

#: How words are cut for the word features, here and in scikit-learn's vectorizer.
WORD = r"[\w']+|[?!]"
_WORD = re.compile(WORD)

Numbers = npt.NDArray[np.float64]


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, with question and exclamation marks."""
    return _WORD.findall(text.lower().replace("’", "'"))


def measured(exchange: Exchange) -> list[float]:
    """What detectors and counts say of one reply: whether, how often, and the `COUNTS`."""
    found = detect(exchange, DETECTORS)
    text = exchange.reply
    words = [word for word in words_of(text) if word[0].isalnum()]
    number = max(1, len(words))
    spans = max(1, len(sentences(text)))
    own = set(content_words(text))
    theirs = set(content_words(exchange.heard[-1])) if exchange.heard else set()
    shared = len(own & theirs)
    return [
        *(float(name in found) for name in DETECTORS),
        *(float(min(MOST_FINDINGS, len(found.get(name, ())))) for name in DETECTORS),
        float(np.log1p(len(words))),
        float(spans),
        len(words) / spans,
        float(min(MOST_FINDINGS, text.count("?"))),
        float(min(MOST_FINDINGS, text.count("!"))),
        float(bool(re.search(r"\d", text))),
        sum(word in FIRST_PERSON for word in words) / number,
        sum(word in SECOND_PERSON for word in words) / number,
        shared / max(1, len(own)),
        shared / max(1, len(theirs)),
        float(np.log1p(shared)),
    ]


def measurements(exchanges: Sequence[Exchange]) -> Numbers:
    """`measured` for several replies: shape ``(replies, 2 * detectors + counts)``."""
    width = 2 * len(DETECTORS) + len(COUNTS)
    return np.array([measured(one) for one in exchanges], dtype=np.float64).reshape(-1, width)


def vectors(exchanges: Sequence[Exchange]) -> Numbers:
    """What each reply is about, and how that stands to the customer's last message.

    The reply's vector, its product with the customer's and the difference of both, side by side:
    shape ``(replies, 3 * 384)``.
    """
    reply = sentence_vectors([one.reply for one in exchanges]).astype(np.float64)
    heard = sentence_vectors([one.heard[-1] if one.heard else "" for one in exchanges]).astype(
        np.float64
    )
    # The product of two vectors of length 1 has small entries; this brings it to their size.
    return np.hstack([reply, reply * heard * np.sqrt(reply.shape[1]), reply - heard])
