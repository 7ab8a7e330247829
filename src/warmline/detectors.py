"""What can be seen in an agent's words without a model: deterministic, quick, and quotable.

The director reads the results as **cues** that move the customer; the grader weighs them as
**signals** beside the model's answers and quotes the sentences they stand in. The phrases are
English (``phrases.py``); a persona in another language leans on the model's checks alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from warmline.phrases import PHRASES, QUESTION_ORDER, SHORT_BUT_WARM, STOPWORDS

#: Longer replies are looked at up to here: nobody types more, and regular expressions stay quick.
LONGEST_REPLY = 4000
#: A reply of fewer words is curt, unless it is a warm one.
LEAST_WORDS = 5
#: More words than this in one message, or in one sentence of it, lose somebody who is upset.
EASY_WORDS, EASY_SENTENCE = 110, 38


@dataclass(frozen=True)
class Span:
    """A stretch of a reply: ``text[start:end]``."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """The words themselves."""
        return text[self.start : self.end]


@dataclass(frozen=True)
class Exchange:
    """One reply of the agent, and what the customer had said before it (latest last)."""

    reply: str
    heard: tuple[str, ...] = ()
    customer_name: str = ""


# The full stop of "£18.50", "7.15", "Mrs. Pell" and "4 p.m. today" ends nothing.
_SENTENCE_END = re.compile(
    r"\n|(?:[!?…]|\.(?!\d)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\b[ap]\.)(?<!\.m\.)"
    r"(?<!\be\.)(?<!\bi\.)(?<!\.g\.)(?<!\.e\.))[.!?…]*[\"'”’)]*",
    re.IGNORECASE,
)


def sentences(text: str) -> list[Span]:
    """Split a text into sentences; every span is verbatim and without surrounding blanks."""
    spans = []
    start = 0
    for end in [*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]:
        piece = text[start:end]
        stripped = piece.strip()
        if stripped:
            begin = start + len(piece) - len(piece.lstrip())
            spans.append(Span(begin, begin + len(stripped)))
        start = end
    return spans


_ENDINGS = ("ations", "ation", "ingly", "ings", "ing", "edly", "ied", "ed", "ies", "es", "s", "ly")


def stem(word: str) -> str:
    """A crude English stem, enough to see that *charge*, *charged* and *charges* are one word."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending) + ("y" if ending in {"ied", "ies"} else "")
            break
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word


_WORD = re.compile(r"\d+(?:[.,:]\d+)+|[^\W_]+(?:'[^\W_]+)?")


def _straight(text: str) -> str:
    """Straight apostrophes and plain blanks, one character for one, so that spans stay true."""
    return text.translate({ord("’"): "'", ord("‘"): "'", ord("´"): "'", 0xA0: " ", 9: " "})


def content_words(text: str) -> list[str]:
    """The stems of the words that carry meaning, in order, with repeats; figures count as words."""
    folded = _straight(unicodedata.normalize("NFKC", text)).lower()
    found = []
    for word in _WORD.findall(folded):
        plain = word.removesuffix("'s")
        if plain[0].isdigit():
            if len(plain) > 1:
                found.append(plain.removesuffix(".00"))
        elif "'" not in plain and plain not in STOPWORDS and len(plain) > 2:
            found.append(stem(plain))
    return found


def shared_with_customer(text: str, heard: Iterable[str]) -> set[str]:
    """The stems that the text takes up from what the customer said."""
    said: set[str] = set()
    for message in heard:
        said.update(content_words(message))
    return said.intersection(content_words(text))


class _Reply:
    """One exchange prepared for the detectors: each sentence is split and searched only once."""

    def __init__(self, exchange: Exchange) -> None:
        text = exchange.reply[:LONGEST_REPLY]
        straight = _straight(text)
        self.heard = exchange.heard
        self.spans = sentences(text)
        self.words = [span.of(straight) for span in self.spans]
        self.names = [re.escape(n) for n in exchange.customer_name.split() if n]
        self._found: dict[str, list[list[Span]]] = {}

    def phrases(self, name: str) -> list[list[Span]]:
        """For each sentence, where the phrases of that name stand in it."""
        if name not in self._found:
            look = PHRASES[name].find
            self._found[name] = [
                [Span(span.start + start, span.start + end) for start, end in look(words)]
                for span, words in zip(self.spans, self.words, strict=True)
            ]
        return self._found[name]

    def has(self, index: int, *names: str) -> bool:
        """Whether any of these phrases stands in that sentence."""
        return any(self.phrases(name)[index] for name in names)

    @cached_property
    def said(self) -> set[str]:
        """The stems of everything the customer has said."""
        return {word for message in self.heard for word in content_words(message)}

    @cached_property
    def own(self) -> list[set[str]]:
        """For each sentence, the customer's own words that it takes up."""
        return [self.said.intersection(content_words(words)) for words in self.words]

    @cached_property
    def asks(self) -> list[bool]:
        """For each sentence, whether it is a question, with its question mark or without."""
        return [_is_question(words) for words in self.words]

    @cached_property
    def stock(self) -> list[bool]:
        """For each sentence, whether a stock phrase stands in it."""
        return [bool(hits) for hits in _stock_hits(self)]

    def where(self, holds: Callable[[int], bool]) -> list[Span]:
        """The sentences of which something holds."""
        return [span for index, span in enumerate(self.spans) if holds(index)]


def _is_question(words: str) -> bool:
    tail = re.search(r"[.!?…]*[\"'”’)]*$", words)
    if tail and "?" in tail.group():
        return re.search(r"\w", words) is not None
    return not (tail and tail.group()) and QUESTION_ORDER.match(words) is not None


def _stock_hits(reply: _Reply) -> list[list[Span]]:
    """Stock phrases, and bare sympathy after which nothing of this customer follows."""
    found = []
    for index, span in enumerate(reply.spans):
        bare = [
            hit
            for hit in reply.phrases("bare_sympathy")[index]
            if not reply.said.intersection(
                content_words(reply.words[index][hit.end - span.start :])
            )
        ]
        found.append([*reply.phrases("stock_phrase")[index], *bare])
    return found


def _has_fault(reply: _Reply, index: int) -> bool:
    return reply.has(index, "blames", "minimises", "rude")


def _phrases(name: str) -> Callable[[_Reply], list[Span]]:
    return lambda reply: [hit for hits in reply.phrases(name) for hit in hits]


def _asked(name: str) -> Callable[[_Reply], list[Span]]:
    """Phrases that count only within a question."""
    return lambda reply: [
        hit
        for asks, hits in zip(reply.asks, reply.phrases(name), strict=True)
        if asks
        for hit in hits
    ]


def _question(reply: _Reply) -> list[Span]:
    return reply.where(lambda i: reply.asks[i])


def _open_question(reply: _Reply) -> list[Span]:
    """A question that cannot be answered by yes, no or a number; or a request to tell."""
    asked = _asked("open_question")(reply)
    return sorted(
        [*asked, *_phrases("invites_telling")(reply)], key=lambda span: (span.start, span.end)
    )


def _follow_up_question(reply: _Reply) -> list[Span]:
    """A question that takes up something the customer said, in itself or right before it."""
    open_ones = {hit.start for hit in _open_question(reply)}

    def follows(index: int) -> bool:
        span = reply.spans[index]
        is_open = any(span.start <= start < span.end for start in open_ones)
        if not (reply.asks[index] or is_open) or reply.stock[index] or _has_fault(reply, index):
            return False
        if reply.has(index, "confirms_understanding", "form_question"):
            return False
        if reply.own[index]:
            return True
        offers_help = re.search(
            r"\b(?:can|may|could) (?:i|we)\b", reply.words[index], re.IGNORECASE
        )
        return is_open and not offers_help and index > 0 and bool(reply.own[index - 1])

    return reply.where(follows)


def _confirms_understanding(reply: _Reply) -> list[Span]:
    """Asks whether it was understood right; "correct me if I'm wrong" needs no question mark."""
    return [
        hit
        for asks, words, hits in zip(
            reply.asks, reply.words, reply.phrases("confirms_understanding"), strict=True
        )
        if asks or re.search(r"\b(?:correct|stop|tell) me\b|\bmake sure\b", words, re.IGNORECASE)
        for hit in hits
    ]


def _thanks(reply: _Reply) -> list[Span]:
    """Thanks that are no stock sentence."""
    return [
        hit
        for index, hits in enumerate(reply.phrases("thanks"))
        if not reply.stock[index]
        for hit in hits
    ]


def _stock_phrase(reply: _Reply) -> list[Span]:
    return [hit for hits in _stock_hits(reply) for hit in hits]


def _acknowledges_feeling(reply: _Reply) -> list[Span]:
    """A sentence that names a feeling, and is more than a stock phrase.

    The same words fit any customer; so the sentence itself, or the sentence beside it, has to
    take up something that this customer said.
    """

    def acknowledges(index: int) -> bool:
        if not reply.has(index, "names_feeling"):
            return False
        if reply.stock[index] or _has_fault(reply, index):
            return False
        return any(reply.own[max(0, index - 1) : index + 2])

    return reply.where(acknowledges)


_ABOUT_THEM = re.compile(r"\b(?:you|your|you'?re|you'?ve)\b", re.IGNORECASE)


def _paraphrases(reply: _Reply) -> list[Span]:
    """A sentence about the customer that says back at least three of their own content words.

    One that begins with what the agent will do is a step, and one that the customer wrote word
    for word is an echo; neither shows that anything was understood.
    """
    heard = " ".join(" ".join(_WORD.findall(_straight(m).lower())) for m in reply.heard)

    def says_back(index: int) -> bool:
        words = reply.words[index]
        if len(reply.own[index]) < 3 or _ABOUT_THEM.search(words) is None:
            return False
        begins = reply.spans[index].start
        if any(hit.start == begins for hit in reply.phrases("next_step")[index]):
            return False
        echo = " ".join(_WORD.findall(words.lower())) in heard
        return not echo and not _has_fault(reply, index)

    return reply.where(says_back)


def _personal(reply: _Reply) -> list[Span]:
    """A sentence with something of this customer in it: two of their words, or their name."""
    name = re.compile(rf"\b(?:{'|'.join(reply.names)})\b") if reply.names else None

    def is_personal(index: int) -> bool:
        if _has_fault(reply, index):
            return False
        called = name is not None and name.search(reply.words[index]) and not reply.stock[index]
        return bool(called) or len(reply.own[index]) >= 2

    return reply.where(is_personal)


def _apologises_for_it(reply: _Reply) -> list[Span]:
    """An apology that says for what, in this customer's words."""
    return reply.where(
        lambda i: reply.has(i, "apologises") and not reply.stock[i] and bool(reply.own[i])
    )


def _interrogates(reply: _Reply) -> list[Span]:
    """Three or more questions in one reply; asking whether one understood is not among them."""
    questions = reply.where(lambda i: reply.asks[i] and not reply.has(i, "confirms_understanding"))
    return questions if len(questions) >= 3 else []


def _concrete_step(reply: _Reply) -> list[Span]:
    """A next step that carries a time or something of this customer's matter.

    What will be there by a time counts as well, whoever brings it: "the money is in your bank
    within three days".
    """

    def is_concrete(index: int) -> bool:
        timed = reply.has(index, "gives_time")
        if reply.has(index, "next_step") and (timed or len(reply.own[index]) >= 2):
            return True
        return timed and reply.has(index, "outcome") and not reply.has(index, "deflects")

    return reply.where(is_concrete)


#: A short reply that does one of these is short and not curt.
_WARM = (
    "open_question",
    "asks_permission",
    "confirms_understanding",
    "closes_warmly",
    "next_step",
    "reassures",
    "withholds_judgement",
    "apologises",
    "names_feeling",
    "takes_ownership",
    "thanks",
)


def _curt(reply: _Reply) -> list[Span]:
    """A reply of fewer than five words that with nothing warm in it and no whole question."""
    text = " ".join(reply.words)
    count = len(re.findall(r"[^\W_]+(?:'[^\W_]+)?", text))
    if not reply.spans or count >= LEAST_WORDS:
        return []
    if count > 1 and (
        (QUESTION_ORDER.match(text) and not reply.has(0, "form_question"))
        or SHORT_BUT_WARM.search(text)
        or any(_DETECTORS[name](reply) for name in _WARM)
    ):
        return []
    return [Span(reply.spans[0].start, reply.spans[-1].end)] if count else []


def _hard_to_follow(reply: _Reply) -> list[Span]:
    """A reply too long to take in, or a sentence that is."""
    counts = [len(re.findall(r"[^\W_]+(?:'[^\W_]+)?", words)) for words in reply.words]
    if sum(counts) > EASY_WORDS:
        return [Span(reply.spans[0].start, reply.spans[-1].end)]
    return reply.where(lambda i: counts[i] > EASY_SENTENCE)


#: Phrases that are only part of another detector.
_PARTS = frozenset({"bare_sympathy", "form_question", "invites_telling", "outcome"})

_DETECTORS: dict[str, Callable[[_Reply], list[Span]]] = {
    **{name: _phrases(name) for name in PHRASES if name not in _PARTS},
    "acknowledges_feeling": _acknowledges_feeling,
    "apologises_for_it": _apologises_for_it,
    "asks_permission": _asked("asks_permission"),
    "concrete_step": _concrete_step,
    "confirms_understanding": _confirms_understanding,
    "curt": _curt,
    "follow_up_question": _follow_up_question,
    "hard_to_follow": _hard_to_follow,
    "interrogates": _interrogates,
    "open_question": _open_question,
    "paraphrases": _paraphrases,
    "personal": _personal,
    "question": _question,
    "stock_phrase": _stock_phrase,
    "thanks": _thanks,
}

#: What only a persona cares about: it is no quality of a reply to just any customer.
_OF_A_PERSONA = frozenset({"hands_over", "hard_to_follow", "sets_boundary"})

#: The names a rubric's checks may list under ``signals``.
SIGNALS = frozenset(_DETECTORS) - _OF_A_PERSONA

#: The names a persona may list under ``softens``, ``hardens``, ``moments`` and ``ending``.
CUES = frozenset(
    {
        "acknowledges_feeling",
        "apologises_for_it",
        "asks_permission",
        "blames",
        "closes_warmly",
        "concrete_step",
        "confirms_understanding",
        "curt",
        "deflects",
        "follow_up",
        "follow_up_question",
        "hands_over",
        "hard_to_follow",
        "interrogates",
        "minimises",
        "next_step",
        "offers_alternative",
        "open_question",
        "orders_the_model",
        "paraphrases",
        "personal",
        "reassures",
        "rude",
        "says_no_plainly",
        "sets_boundary",
        "stock_phrase",
        "takes_ownership",
        "talks_of_self",
        "thanks",
        "withholds_judgement",
    }
)

#: Cues that hurt whoever hears them; a good sentence beside one does not make up for it.
SEVERE = frozenset({"blames", "rude"})


def detect(exchange: Exchange, names: Iterable[str] = SIGNALS) -> dict[str, list[Span]]:
    """What each named detector finds in the reply; detectors that find nothing are left out.

    Raises:
        KeyError: for a name that is no detector.
    """
    reply = _Reply(exchange)
    found = {}
    for name in names:
        if spans := _DETECTORS[name](reply):
            found[name] = spans
    return found


def sentence_around(text: str, span: Span) -> Span:
    """The whole sentence in which a span begins; the span itself if none holds it."""
    for sentence in sentences(text):
        if sentence.start <= span.start < sentence.end:
            return sentence
    return span


def near_duplicates(replies: Sequence[str]) -> list[int]:
    """The indexes of replies that say almost what an earlier reply said.

    Two replies are near-identical when four fifths of their content words are shared; repeats
    must not earn a step twice.
    """
    repeated = []
    seen: list[set[str]] = []
    for index, reply in enumerate(replies):
        words = set(content_words(reply))
        if any(words and len(words & old) >= 0.8 * max(len(words), len(old)) for old in seen):
            repeated.append(index)
        seen.append(words)
    return repeated
