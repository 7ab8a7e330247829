"""What a customer hears in the agent's message: the words meant for them, and the cues in it.

Two readers share the work. The detectors find phrases and can point at them; the learned judge
knows a warm sentence by its sense; both together take some milliseconds. Words that are meant for
somebody else, such as orders to a language model, are not heard at all: the customer only notices
that something strange was written.

Both read English only. With a persona in another language every word is heard as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from warmline.customer.director import Found, cues_in
from warmline.detectors import Exchange, sentences
from warmline.grader.judging import OCCASION_SEEN
from warmline.grader.learned import LearnedJudge, Values, both_show
from warmline.grader.spoken import NOTHING, folded, spoken
from warmline.traits import FAULTS

Oddity = Literal["strange", "foreign", "signs", "silent"]

#: How an odd message looks to the customer; this stands in the prompt in its place.
SEEN_AS: Mapping[Oddity, str] = {
    "strange": "(a strange message that has nothing to do with the matter)",
    "foreign": "(a message in some other language)",
    "signs": "(a row of little signs and pictures, and not one word)",
    "silent": "(hardly anything, no word of an answer)",
}

#: A sentence as unlikely as this to be meant for the customer is not heard.
STRANGE = 0.8
#: A message of so many letters that holds no word of the language is in another one.
FOREIGN_LETTERS = 12

_ENGLISH = re.compile(
    r"\b(?:the|a|an|and|is|are|i|you|it|to|of|in|what|my|your|this|that|me|do|not|no)\b",
    re.IGNORECASE,
)
#: Less than this part of a message left over is the rest of something strange.
LEAST_KEPT = 0.6
#: Addressed to whatever plays the customer, not to the customer.
_AT_THE_PLAY = re.compile(
    r"\b(?:(?:hidden|secret) (?:fact|instruction|prompt)s?|(?:your|the) (?:system )?prompt|"
    r"(?:write|compose|sing|tell) (?:me |us )?(?:a|an|some) (?:\w+ )?"
    r"(?:poem|song|story|joke|haiku|essay|code|program)|"
    r"from now on,? (?:you )?(?:only )?(?:say|are|speak|answer|reply|write|play)|"
    r"(?:let us|let's|we) (?:swap|switch|change) (?:roles|places|sides|jobs)|(?:let us|let's) swap|"
    r"(?:you are|you're|are you) (?:just |only |really |actually )?(?:an? )?"
    r"(?:ai|bot|chatbot|robot|language model|llm|program|machine|gpt|chatgpt)|"
    r"(?:say|repeat) (?:only )?the words?)\b",
    re.IGNORECASE,
)

#: How far a trait must be reached, from 0 to 1, for its cue to count. Chosen on replies that the
#: judge had not seen. Warm ones give most of these cues, and of 100 stock ones 7 at most give any
#: one of them. Those that hurt are found in a quarter to a half of the replies that hold them, and
#: in 1 of 100 others at most: better to miss some than to rebuff a kind agent.
CUE_OF: Mapping[str, tuple[str, float]] = {
    "acknowledge": ("acknowledges_feeling", 0.45),
    "listen": ("paraphrases", 0.55),
    "perspective": ("withholds_judgement", 0.55),
    "ask": ("open_question", 0.6),
    "own": ("takes_ownership", 0.65),
    "resolve": ("concrete_step", 0.75),
    "personalise": ("personal", 0.6),
    "blaming": ("blames", 0.6),
    "minimising": ("minimises", 0.4),
    "talk-of-self": ("talks_of_self", 0.6),
}
HURTS = frozenset({"blames", "minimises", "talks_of_self"})
#: What a detector has seen outweighs a hunch: "you shouldn't have had to ask" blames nobody.
UNLESS: Mapping[str, frozenset[str]] = {
    "blames": frozenset({"withholds_judgement"}),
    "talks_of_self": frozenset({"sets_boundary"}),
}
#: Steps that are cues only where they are called for: the occasion, the step, its cue.
CUE_AT: Mapping[str, tuple[str, str, float]] = {
    "refusing": ("kind-no", "says_no_plainly", 0.6),
    "closing": ("close", "closes_warmly", 0.7),
}
#: Polite emptiness, in a reply that has little else.
STOCK, LITTLE_ELSE = 0.7, 0.65
#: A reply less respectful than this reaches nobody, whatever phrases stand in it.
LEAST_RESPECT = 0.3
#: So many messages are kept as they were heard.
REMEMBERED = 2000
#: Shorter replies are left to the detectors: a word or two look like anything.
LEAST_WORDS = 5


@dataclass(frozen=True)
class Heard:
    """A message as the customer takes it in: its words, and what was odd about it."""

    text: str
    odd: Oddity | None = None

    @property
    def as_seen(self) -> str:
        """What stands in the prompt: the words, or how the message looks."""
        return SEEN_AS[self.odd] if self.odd and not self.text else self.text


class Hearing:
    """Reads messages as a customer does. With no judge, by detectors and rules alone."""

    def __init__(self, judge: LearnedJudge | None) -> None:
        self.judge = judge
        # A message stands in the prompt of every later turn, and is heard the same each time.
        self.hear = lru_cache(maxsize=REMEMBERED)(self._hear)

    def _hear(self, message: str, language: str = "en") -> Heard:
        """The words of a message that are meant for a customer who writes in this language."""
        plain = folded(message)
        if not re.search(r"\w", plain):
            signs = re.search(r"[^\s.,!?…-]", plain)
            return Heard("", "signs" if signs else "silent")
        if not reads(language):
            return Heard(message)
        kept = spoken(message)
        # What was left out takes the rest with it: "how can I help you" after an order to swap
        # the roles is no question of an agent.
        if (
            kept == NOTHING
            or len(kept) < LEAST_KEPT * len(message)
            or _AT_THE_PLAY.search(plain)
            or self._strange(kept)
        ):
            letters = re.sub(r"[\W\d_]", "", plain)
            foreign = len(letters) >= FOREIGN_LETTERS and not _ENGLISH.search(plain)
            return Heard("", "foreign" if foreign else "strange")
        return Heard(kept)

    def _strange(self, text: str) -> bool:
        return self.judge is not None and min(self.judge.strange([Exchange(text)])) >= STRANGE

    def voice(self, language: str) -> Callable[[str], Mapping[str, float]] | None:
        """Says who is speaking in a line of the customer's; None where nobody can tell."""
        return self.judge.voice if self.judge and reads(language) else None

    def cues(self, exchange: Exchange, odd: Oddity | None = None) -> Found:
        """The cues in a reply that was heard; spans where a detector can point at them."""
        if odd:
            return {"curt": []} if odd == "silent" else {"orders_the_model": []}
        found = dict(cues_in(exchange))
        if self.judge is None or len(exchange.reply.split()) < LEAST_WORDS:
            return found
        (values,) = self.judge.read([exchange])
        if not values:
            return found
        seen = {**values, **self._faults_in(exchange, values)}
        for trait, (cue, least) in CUE_OF.items():
            if seen[trait] >= least and not set(found) & UNLESS.get(cue, frozenset()):
                found.setdefault(cue, [])
        for occasion, (step, cue, least) in CUE_AT.items():
            if values[occasion] > OCCASION_SEEN and values[step] >= least:
                found.setdefault(cue, [])
        if values["stock-phrases"] >= STOCK and values["respect"] < LITTLE_ELSE:
            found.setdefault("stock_phrase", [])
        if values["respect"] < LEAST_RESPECT:
            for cue, _ in CUE_OF.values():
                if cue not in HURTS:
                    found.pop(cue, None)
        return found

    def _faults_in(self, exchange: Exchange, values: Values) -> dict[str, float]:
        """How likely each fault is somewhere in a reply of which the judge has these values."""
        assert self.judge is not None
        alone = [span.of(exchange.reply) for span in sentences(exchange.reply)]
        shown = self.judge.shows([replace(exchange, reply=words) for words in alone])
        return {
            fault: max((both_show(values[fault], one[fault]) for one in shown), default=0.0)
            for fault in FAULTS
        }


def reads(language: str) -> bool:
    """Whether detectors and judge can read this language, such as ``en`` or ``en-GB``."""
    return language.split("-")[0] == "en"


_REQUEST = re.compile(
    r"\b(?:please|have (?:your|an?)|keep|send (?:me|us|it)|tell (?:me|us)|let (?:me|us) know|"
    r"you can|you could|take|try|check|read|press)\b",
    re.IGNORECASE,
)


def asks_for_something(message: str, cues: Iterable[str]) -> bool:
    """Whether a message leaves the customer something to do or to say: a question, or a request."""
    return bool({"question", "open_question", "asks_permission"} & set(cues)) or bool(
        _REQUEST.search(message)
    )
