"""The guard: the check on a customer's line before anybody sees it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from warmline.detectors import content_words
from warmline.persona import Persona, mentions

#: A line of fewer words says nothing.
LEAST_WORDS = 3
#: A line that shares this part of its content words with an earlier one is a repeat.
REPEAT_SHARE = 0.75

_AGENT_TALK = re.compile(
    r"\bhow (?:can|may) i (?:help|assist|be of)\b"
    r"|\b(?:i'm|i am|we're|we are) (?:here|happy|glad|able|ready) to (?:help|assist|support)\b"
    r"|\b(?:assist|assisting|helping) you\b|\bhelp you (?:with|today|further|out)\b"
    r"|\blet me (?:check|look|help|assist|see what|explain|transfer|know if)\b"
    r"|\bi(?:'ll| will| can| have|'ve) (?:now |just |personally |go ahead and )?(?:refund|process|arrange|escalate|look into|check (?:your|the)|transfer you|credit|cancel your|waive|reset your|unlock|help you|assist|provide you|offer you|send you a|get back to you|make sure (?:you|your|that you))"
    r"|\bwe(?:'ll| will| can|'d be| would be)? (?:apologi[sz]e|refund you|process|look into|offer you|provide|value|strive|appreciate|do our best|get back to you|be happy|take this)\b"
    r"|\bour (?:team|system|policy|policies|records|customers|department|service|apologies|support|company)\b"
    r"|\bthank you for (?:contacting|calling|reaching|your (?:patience|call|message|business)|bringing this)\b"
    r"|\b(?:anything|something) else (?:i|we) can (?:help|do for you|assist)"
    r"|\byour (?:account|request|refund|order|concern|claim|booking|issue|case|feedback|patience) (?:has been|have been|will be|is (?:being|important|valued))\b"
    r"|\bi (?:completely |fully |totally )?understand (?:your|how you) (?:frustration|concern|feel|situation)"
    r"|\bapologi[sz]e for (?:any|the|your|this) (?:inconvenience|trouble|confusion|delay|error|mistake)"
    r"|\bsorry (?:for|about) (?:any|the|your) (?:inconvenience|frustration|loss|trouble you)"
    r"|\bdear (?:customer|sir|madam|mrs|mr|ms)\b|\bvalued customer\b|\bbest regards\b|\bcustomer (?:service|support) (?:agent|representative|team)\b.{0,20}\bhere\b"
    r"|\b(?:sorry|so sorry) (?:to hear|you(?:'re| are) (?:going|having|feeling))\b"
    r"|\b(?:please )?(?:provide|confirm|verify) (?:me with )?your\b|\bmay i have your\b"
    r"|\bi(?:'d| would) (?:suggest|recommend|advise)\b|\bhave you tried\b|\byou (?:can|could|may) (?:try|visit|contact|call us)\b",
    re.IGNORECASE,
)
_MACHINE = re.compile(
    r"\bas an? (?:ai|assistant|language model|agent|customer)\b|\blanguage model\b|\bi(?:'m| am) (?:an? )?(?:ai|assistant|bot|virtual|program)\b"
    r"|\bmy (?:instructions|prompt|programming)\b|\b(?:role-?play|scenario|transcript|dialogue)\b",
    re.IGNORECASE,
)
_STAGE = re.compile(
    r"\*[^*]+\*|^\s*[\[(]|\((?:[a-z]+(?:s|ing)|softly|angrily|quietly|pause|silence)\b[^)]*\)|\[[^\]]*\]"
    r"|\b(?:she|he|the customer) (?:sigh|paus|said|says|replie|type|cr(?:y|ie))\w*",
    re.IGNORECASE,
)
_LABEL = re.compile(r"(?:^|\s)[A-Z][A-Za-z]{2,15}(?: \([^)]*\))?:\s|\b(?:AGENT|CUSTOMER)\b")
_MARKUP = re.compile(r"</?[a-z!|]|```|https?://|\{|\}|#{2,}|_{3,}|=>|\$\{", re.IGNORECASE)
_CONTENT = re.compile(
    r"\b(?:thank you so much|thanks so much|i feel (?:so much |much |a lot )?better|you've been (?:so |very |really )?(?:kind|helpful|great|wonderful)"
    r"|that's (?:great|perfect|wonderful|fantastic)|i(?:'m| am) (?:so )?(?:happy|pleased|delighted|relieved)|problem solved|i appreciate (?:your|the|all)|have a (?:nice|good|great))\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


@dataclass(frozen=True)
class GuardContext:
    """What a line is held against: the persona, where the customer stands, what was said before."""

    persona: Persona
    mood: str
    released: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    heard: tuple[str, ...] = ()
    samples: tuple[str, ...] = field(default=())


def objection(line: str, context: GuardContext) -> str | None:
    """Why this line must not be shown, in a few words; None when it may."""
    straight = line.replace("’", "'").replace("‘", "'").strip()
    if len(re.findall(r"\w+", straight)) < LEAST_WORDS:
        return "too short"
    for pattern, reason in (
        (_MARKUP, "markup"),
        (_LABEL, "speaker label"),
        (_STAGE, "stage direction"),
        (_MACHINE, "speaks as a machine"),
        (_AGENT_TALK, "speaks as the agent"),
    ):
        if pattern.search(straight):
            return reason
    if _foreign(straight, context.persona.language):
        return "another language"
    if reason := _gives_away(straight, context):
        return reason
    if _content_too_soon(straight, context):
        return "forgives too soon"
    if invented := _invented_number(straight, context):
        return f"a number that is not in the record: {invented}"
    if _repeats(straight, (*context.said, *context.samples)):
        return "repeats an earlier line"
    if _repeats(straight, context.heard):
        return "repeats the agent"
    return None


def _foreign(line: str, language: str) -> bool:
    """Mostly non-Latin letters where the persona writes a Latin script."""
    letters = [c for c in line if c.isalpha()]
    latin = sum(c < "\u0250" for c in letters)
    return (
        bool(letters)
        and not language.startswith(("ar", "he", "ja", "ko", "ru", "zh", "el", "hi"))
        and latin < 0.8 * len(letters)
    )


def _gives_away(line: str, context: GuardContext) -> str | None:
    for fact in context.persona.facts:
        if fact.id in context.released or fact.reveal == "freely":
            continue
        if any(mentions(line, word) for word in fact.giveaways):
            return f"tells the hidden fact {fact.id}"
    return None


def _content_too_soon(line: str, context: GuardContext) -> bool:
    rank = context.persona.rank(context.mood)
    return rank < len(context.persona.ladder) - 2 and _CONTENT.search(line) is not None


def _invented_number(line: str, context: GuardContext) -> str | None:
    """A figure nobody has mentioned: the model made it up, and it may contradict the record."""
    persona = context.persona
    known = " ".join(
        [
            persona.opening,
            persona.story,
            persona.wants,
            persona.brief.situation,
            *persona.brief.record,
            *(fact.says for fact in persona.facts if fact.id in context.released),
            *(fact.says for fact in persona.facts if fact.reveal == "freely"),
            *(moment.says for moment in persona.moments),
            *context.said,
            *context.heard,
        ]
    )
    numbers = set(_NUMBER.findall(known))
    return next((n for n in _NUMBER.findall(line) if n not in numbers), None)


def _repeats(line: str, earlier: Sequence[str]) -> bool:
    words = content_words(line)
    start = re.findall(r"\w+", line.lower())[:6]
    for old in earlier:
        if len(start) == 6 and re.findall(r"\w+", old.lower())[:6] == start:
            return True
        old_words = set(content_words(old))
        if len(set(words)) >= 3 and len(old_words.intersection(words)) >= REPEAT_SHARE * len(
            set(words)
        ):
            return True
    return False
