"""One reply put another way: in the trainee's own words, with the sentence that was missing."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import zip_longest

from pydantic import BaseModel, ConfigDict

from warmline.backends.base import Backend, Priority
from warmline.detectors import content_words, detect, sentences
from warmline.grader.checks import shown
from warmline.grader.evidence import exchange_at
from warmline.grader.spoken import NOTHING, spoken
from warmline.persona import Persona
from warmline.rubric import Step
from warmline.transcript import Transcript

#: Named beside the coaching, and changed with every change of the texts below.
COACH_PROMPT_VERSION = "coach-4"

#: Plain text to go on with, as for the customer: small models imitate better than they obey.
REWRITE_HEADER = """\
A coach shows contact-centre agents how to say one thing better: {aim} The coach keeps the agent's \
own words where they are good, and promises nothing beyond what the agent may do.
"""
REWRITE_PAIR = """
Customer: {customer}
First reply: {weak}
Better reply: {strong}
"""
REWRITE_LIVE = """
The agent may: {may}
Customer: {customer}
First reply: {reply}
Better reply: {kept}{starter}"""

#: How a sentence that shows a signal may begin. A small model needs the first words to go on in
#: the right direction; one beginning is tried after the other.
STARTERS: dict[str, tuple[str, ...]] = {
    "acknowledges_feeling": ("It must be so hard", "That must have been", "I can hear how"),
    "names_feeling": ("It must be so hard", "I can hear how", "No wonder you feel"),
    "apologises_for_it": ("I'm so sorry that", "I'm sorry about"),
    "closes_warmly": ("Thank you for telling me about", "Please take good care of yourself"),
    "concrete_step": ("I'll", "Today I will"),
    "confirms_understanding": ("Have I got that right:", "So you"),
    "follow_up": ("I'll ring you", "I'll write to you"),
    "follow_up_question": ("What", "How", "Can you tell me"),
    "gives_time": ("I'll do that today", "By tomorrow"),
    "next_step": ("I'll", "Let me"),
    "offers_alternative": ("What I can do is", "What I can offer is"),
    "open_question": ("What", "How", "Can you tell me"),
    "paraphrases": ("You told us", "So you", "You were"),
    "personal": ("You told us", "So you"),
    "reassures": ("You don't have to", "I'll make sure"),
    "says_no_plainly": ("I'm sorry, I can't", "The honest answer is that I can't"),
    "takes_ownership": ("I'll", "Leave it with me:"),
    "withholds_judgement": ("You did nothing wrong", "Anyone would"),
    "asks_permission": ("Would it help if", "Would you like me to"),
}

#: What these signals stand for belongs at the end of a reply; anything else comes first.
AT_THE_END = frozenset(
    {
        "asks_permission",
        "closes_warmly",
        "concrete_step",
        "confirms_understanding",
        "follow_up",
        "follow_up_question",
        "gives_time",
        "next_step",
        "offers_alternative",
        "open_question",
        "reassures",
    }
)

#: Tries for a sentence that passes the checks below; then no rewrite is shown.
ATTEMPTS = 6
MAX_TOKENS = 50
TEMPERATURE = 0.6
LONGEST_REWRITE_WORDS = 120

#: What a newly found signal means, for the reason given beside a rewrite.
GAINS = {
    "acknowledges_feeling": "names what {name} feels",
    "paraphrases": "says {name}'s problem back",
    "apologises_for_it": "says sorry for the very thing that happened",
    "concrete_step": "says what you will do and when",
    "next_step": "says what you will do",
    "open_question": "asks a question that {name} can answer freely",
    "takes_ownership": "takes charge of the matter",
    "withholds_judgement": "makes clear that nobody is judging {name}",
    "personal": "takes up what {name} told you",
    "offers_alternative": "says what you can do instead",
    "reassures": "lets {name} breathe out",
    "follow_up": "promises to check that it worked",
    "closes_warmly": "ends warmly",
    "asks_permission": "asks whether that suits {name}",
    "gives_time": "says by when",
    "confirms_understanding": "checks that you understood",
    "follow_up_question": "asks about what {name} told you",
    "names_feeling": "names what {name} may be feeling",
    "says_no_plainly": "says no plainly",
    "thanks": "thanks {name}",
    "greets": "welcomes {name}",
}
#: A gain that need not be said beside the one that says more.
SAID_BY = {
    "names_feeling": "acknowledges_feeling",
    "next_step": "concrete_step",
    "follow_up_question": "open_question",
    "personal": "paraphrases",
}
FAULTS = {
    "blames": "no longer sounds like blame",
    "minimises": "no longer makes light of it",
    "deflects": "no longer sends {name} away",
    "rude": "is no longer unkind",
    "stock_phrase": "drops the stock phrase",
}
#: The same of sentences in which the grader sees a fault.
LEAVES_OUT = "leaves out the words that counted against you"
#: What a rewrite must not take away: better no rewrite than one that helps less.
HELPS = frozenset({"concrete_step", "says_no_plainly", "offers_alternative", "gives_time"})
#: A sentence that begins so hangs in the air where the one before it is gone.
_GOES_ON = re.compile(r"(?:but|so|and|then|also|or)\b", re.IGNORECASE)


class Rewrite(BaseModel):
    """The weakest reply, rewritten in the trainee's own style, and what is better about it."""

    model_config = ConfigDict(frozen=True)

    turn: int
    original: str
    rewritten: str
    reason: str


def kept_words(transcript: Transcript, turn: int, against: Collection[str] = ()) -> str:
    """The sentences of a reply that a rewrite keeps: those for the customer, without a fault.

    ``against`` are sentences of it that the grader holds against it; none of them is kept, nor one
    that goes on from there.
    """
    text = spoken(transcript.turns[turn].text)
    exchange = exchange_at(transcript, turn)
    kept: list[str] = []
    cut = text == NOTHING
    for span in sentences(text):
        words = span.of(text)
        faulty = words in against or detect(replace(exchange, reply=words), FAULTS)
        cut = bool(faulty) or (cut and _GOES_ON.match(words) is not None)
        if not cut:
            kept.append(words)
    return " ".join(kept)


def _goes_last(step: Step) -> bool:
    return any(signal in AT_THE_END for check in step.checks for signal in check.signals)


def rewrite_prompt(
    step: Step, transcript: Transcript, turn: int, persona: Persona | None, kept: str, starter: str
) -> str:
    """The text that asks for the rewrite of one reply, to be continued after ``starter``.

    What the step asks for comes either before the words that are ``kept``, or after them; in the
    second case the kept words stand at the end of the prompt already.
    """
    heard = transcript.heard_before(turn)
    best = step.levels[-1] if step.direction == "higher_is_better" else step.levels[0]
    pairs = "".join(
        REWRITE_PAIR.format(
            customer=shown(one.customer), weak=shown(one.weak), strong=shown(one.strong)
        )
        for one in step.examples[:3]
    )
    live = REWRITE_LIVE.format(
        may=" ".join(persona.brief.may) if persona else "only what the first reply offers.",
        customer=shown(heard[-1]) if heard else "…",
        reply=shown(transcript.turns[turn].text),
        kept=f"{shown(kept)} " if kept and _goes_last(step) else "",
        starter=starter,
    )
    return REWRITE_HEADER.format(aim=best.means) + pairs + live


async def rewrite(
    backend: Backend,
    step: Step,
    transcript: Transcript,
    turn: int,
    persona: Persona | None,
    against: Collection[str] = (),
    *,
    seed: int,
) -> Rewrite | None:
    """The weakest reply in the trainee's own words, with the sentence that was missing.

    The model writes that one sentence; everything else is the trainee's, without what the grader
    holds ``against`` the reply. When no try gives one that is better and honest, the persona's kind
    sample dialogue lends one; None when that has none either.

    Raises:
        BackendError: when the model cannot answer.
    """
    kept = kept_words(transcript, turn, against)
    for attempt, starter in enumerate(_starters(step, transcript, turn)):
        pieces = backend.continue_text(
            rewrite_prompt(step, transcript, turn, persona, kept, starter),
            stop=["\n"],
            max_tokens=MAX_TOKENS,
            temperature=TEMPERATURE,
            seed=seed + attempt,
            priority=Priority.FINISH,
        )
        written = "".join([piece async for piece in pieces])
        fresh = _first_sentence(starter + written)
        if _may_be_shown(fresh, step, transcript, persona) and (
            better := _with(fresh, kept, step, transcript, turn, against)
        ):
            return better
    for fresh in _scripted_sentences(persona):
        if better := _with(fresh, kept, step, transcript, turn, against):
            return better
    return None


def _with(
    fresh: str,
    kept: str,
    step: Step,
    transcript: Transcript,
    turn: int,
    against: Collection[str],
) -> Rewrite | None:
    """The reply with a fresh sentence in its place; None when that gains nothing."""
    parts = (kept, fresh) if _goes_last(step) else (fresh, kept)
    text = " ".join(part for part in parts if part)
    name = transcript.customer_name.split(" ")[0] or "the customer"
    # Of what the grader holds against the reply nothing was kept.
    reason = _what_is_better(text, transcript, turn, step, name, cut=bool(against))
    if not reason:
        return None
    original = transcript.turns[turn].text
    return Rewrite(turn=turn, original=original, rewritten=text, reason=reason)


def _scripted_sentences(persona: Persona | None) -> list[str]:
    """What a kind agent says to this very customer in the persona's sample dialogue."""
    samples = [sample for sample in persona.samples if sample.agent == "kind"] if persona else []
    said = [turn.agent for sample in samples for turn in sample.turns if turn.agent]
    return [span.of(text) for text in said for span in sentences(text)]


def _wanted(step: Step) -> list[str]:
    """The signals that show a step; none where they are what should not be done."""
    if step.direction == "lower_is_better":
        return []
    return [s for check in step.checks if check.counts == "for" for s in check.signals]


def _starters(step: Step, transcript: Transcript, turn: int) -> list[str]:
    """Beginnings for what the reply lacks, the step's most telling signals first."""
    there = detect(exchange_at(transcript, turn))
    lacking = [one for one in _wanted(step) if one in STARTERS and one not in there]
    by_turns = zip_longest(*(STARTERS[signal] for signal in dict.fromkeys(lacking)))
    found = [starter for row in by_turns for starter in row if starter]
    return list(dict.fromkeys(found))[:ATTEMPTS] or [""]


def _first_sentence(written: str) -> str:
    """The first whole sentence of what the model wrote; empty when there is none."""
    text = written.strip().strip('"“”').strip()
    first = sentences(text)[:1]
    return first[0].of(text) if first and first[0].of(text)[-1] in ".!?…" else ""


_BLANK = re.compile(r"\[[^\]]*\]|<[^>]*>|\{[^}]*\}|_{2,}")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


def _may_be_shown(fresh: str, step: Step, transcript: Transcript, persona: Persona | None) -> bool:
    """Whether the model's words are about this conversation, and invent nothing."""
    if len(fresh.split()) < 4 or _BLANK.search(fresh) or _echoes(fresh, transcript, step):
        return False
    brief = persona.brief if persona else None
    known = " ".join(
        [
            *(turn.text for turn in transcript.turns),
            *([brief.situation, *brief.record, *brief.may] if brief else []),
        ]
    )
    numbers = set(_NUMBER.findall(known))
    if any(number not in numbers for number in _NUMBER.findall(fresh)):
        return False
    if brief and _near(fresh, brief.may_not):
        return False
    if brief and _PROMISE.search(fresh) and not _near(fresh, brief.may):
        return False
    # A word that stands nowhere in this conversation comes from the model's own story.
    unknown = set(content_words(fresh)) - set(content_words(known)) - _EVERYDAY
    return len(unknown) <= MOST_UNKNOWN_WORDS


#: The agent promises something; it has to be something that the brief allows.
_PROMISE = re.compile(
    r"\b(?:i'll|i will|i'm going to|i am going to|we'll|we will|let me|i can|i've|i have)\b",
    re.IGNORECASE,
)


def _near(text: str, items: Sequence[str]) -> bool:
    """Whether a text shares at least two content words with one of the items."""
    words = set(content_words(text))
    return any(len(words.intersection(content_words(item))) >= 2 for item in items)


#: Words that belong to no story: what a reply may say in any conversation.
_EVERYDAY = frozenset(
    content_words(
        "sorry hear sound hard must feel tell told help find sort out call ring email write today "
        "tomorrow tonight right happen understand worry upset painful difficult tough awful wait "
        "mistake check sure happy promise make clear first next step take good care yourself look "
        "after anything else week morning evening hour anyone wonder nothing wrong matter most "
        "better give try leave keep know think honest answer"
    )
)
#: A sentence may bring in so many words that nobody has used here, and no more.
MOST_UNKNOWN_WORDS = 2


def _what_is_better(
    text: str,
    transcript: Transcript,
    turn: int,
    step: Step,
    name: str,
    *,
    cut: bool,
) -> str:
    """What the rewrite gains, in words; empty when it gains nothing, loses help or has a fault.

    ``cut``: words that counted against the reply are gone.
    """
    if not 8 <= len(text.split()) <= LONGEST_REWRITE_WORDS:
        return ""
    before = detect(exchange_at(transcript, turn))
    after = detect(replace(exchange_at(transcript, turn), reply=text))
    if any(fault in after for fault in FAULTS) or any(
        signal in before and signal not in after for signal in HELPS
    ):
        return ""
    wanted = _wanted(step)
    gains = [g for g in [*wanted, *GAINS] if g in GAINS and g in after and g not in before]
    healed = [f for f in FAULTS if f in before and f not in after]
    if wanted and not any(gain in wanted for gain in gains):
        return ""
    if not gains and not healed and not cut:
        return ""
    gains = [gain for gain in gains if SAID_BY.get(gain) not in gains]
    gone = [FAULTS[f] for f in healed]
    if cut and "blames" not in healed:
        gone.insert(0, LEAVES_OUT)
    said = [*gone, *(GAINS[g] for g in dict.fromkeys(gains))][:3]
    return _listed([phrase.format(name=name) for phrase in said])


def _echoes(text: str, transcript: Transcript, step: Step) -> bool:
    """Whether the rewrite copies a customer's or an example's run of words, or another reply."""
    others = [turn.text for turn in transcript.turns if turn.role == "customer"]
    others += [words for one in step.examples for words in (one.customer, one.weak, one.strong)]
    runs = {run for other in others for run in _runs(other)}
    return any(run in runs for run in _runs(text))


def _runs(text: str, length: int = 7) -> list[tuple[str, ...]]:
    """Every run of that many words."""
    words = re.findall(r"[\w']+", text.lower())
    return [tuple(words[i : i + length]) for i in range(len(words) - length + 1)]


def _listed(phrases: Sequence[str]) -> str:
    start = "This one "
    if len(phrases) == 1:
        return f"{start}{phrases[0]}."
    return f"{start}{', '.join(phrases[:-1])} and {phrases[-1]}."
