"""The guard: the check on a customer's line before anybody sees it.

It is asked about a whole line or about one sentence of it. Small models slip into the agent's role,
so the agent's phrases are what it mostly looks for; with a voice to listen to, it also hears an
agent, a narrator or a forgiving customer without any set phrase. A customer apologises, thanks,
offers to send a letter and asks for things to be checked as well; those must pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from warmline.detectors import content_words, sentences
from warmline.persona import Persona, mentions

#: A line of fewer words says nothing.
LEAST_WORDS = 3
#: A line that shares this part of its content words with an earlier one is a repeat.
REPEAT_SHARE = 0.75
#: A voice as likely as this is heard; the agent's is, where it is likelier than the customer's by
#: that much. Of 400 lines written without a look at the rules, eight of 100 good ones are lost.
OTHER_VOICE = 0.5
SOUNDS_CONTENT = 0.8
AGENT_BY = 0.1
#: So many words in a row stand in another line by copying, not by chance.
LONGEST_RUN = 6


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)", re.IGNORECASE)


_I_DO = r"(?:i'll|i will|i can|i could|i have|i've|i'm going to|let me)(?: now| just| also| personally)*"
_COMPANY = r"(?:system|records?|account|booking|status|order details|file|database|our end)"

_AGENT_TALK = _any(
    # Offers of help.
    r"(?:how|what) (?:can|may|could) i (?:help|assist|be of|do for you)",
    r"(?:i'm|i am|we're|we are|i'd be|i'll be|we'd be|i would be) (?:here|happy|glad|able|ready|pleased) "
    r"to (?:help|assist|support|arrange|look)",
    r"(?:assist|assisting) you|help(?:ing)? you (?:with|today|further|out|resolve|sort)",
    r"(?:anything|something) else (?:that )?(?:i|we) can (?:help|do for you|assist)",
    r"(?:how|if|what|anything|way) (?:\w+ ){0,4}(?:i|we) can (?:do to )?(?:help|assist)\b|"
    r"(?:i|we) can help you|(?:like|want|try|able) to help you",
    r"i have (?:it|that|this|you|your \w+) (?:here )?(?:in|on) (?:the|my|our) (?:records?|system|screen)",
    r"(?:anything|something) else you(?:'d like| need| would like)(?=\W*$)",
    # Doing the agent's work.
    rf"{_I_DO} (?:check|look (?:into|at|up)|see|confirm|verify|pull up) "
    rf"(?:that for you|what i can|(?:on |in )?(?:your|the|our) (?:\w+ )?{_COMPANY}|your|into)",
    r"let me (?:check (?:that|this|with|if|what|our|on|for you)|look (?:into|at your|that up)|help|assist|"
    r"see (?:what|if) i can|transfer|know if you (?:need|have|require|want|would|'d))",
    rf"{_I_DO} (?:go ahead and )?(?:(?:refund|process|credit|waive|reset|unlock|cancel|rebook|issue|"
    r"resolve)(?:l?e?d)? (?:your|the|that|this|you|it|a)|arrange(?:d)? (?:a|an|the|that|your|for your)|"
    r"transfer(?:red)? you|help you|assist|offer you|get back to you|make sure (?:you|your|that you))",
    rf"{_I_DO} escalate(?:d)? (?:this|your|it|the)\b(?!.{{0,40}}(?:ombudsman|your (?:manager|boss)|"
    r"head office|press|solicitor))",
    rf"{_I_DO} (?:sen[dt]|provide|give) you (?:with )?(?:an? |the |your |some |our )?(?:\w+ ){{0,2}}"
    r"(?:link|code|voucher|vouchers|form|confirmation|replacement|refund|label|instructions|reference)",
    rf"{_I_DO} provide you with (?:your|a|an|our|more|further)",
    rf"{_I_DO} (?:check|book(?:ed)?|arrange[d]?|sort(?:ed)?|fix(?:ed)?|do|handle|process(?:ed)?|"
    r"resolve[d]?|cancel(?:led)?|look) (?:\w+ ){0,3}for you",
    r"i'll look into|i will look into|please hold|hold while i|don't worry,? (?:i'll|we'll|i will|we will)",
    # The company's voice.
    r"we(?:'ll| will| can|'d be| would be| are able to|'re able to)? (?:apologi[sz]e|process (?:your|the)|"
    r"look into|offer you|provide you|get back to you|be happy to (?:help|assist|offer)|refund you|"
    r"(?:re)?book you|move you|strive|arrange (?:a|an|for))",
    r"we(?:'ll| will) do our best|we (?:really |truly |do )?(?:appreciate|value) (?:your|you)",
    r"we take (?:this|your|all|such)\b.{0,30}\bseriously",
    r"we(?: can't| cannot|'re unable to| are unable to) (?:help with|assist|refund|offer you|process)",
    r"our (?:team|records|customers|department|apologies|support|customer|agents?|specialists?|website)",
    r"(?:it's|that's|it is|that is) (?:not |just |only )?(?:our|my) (?:policy|system|procedure)|"
    r"thank you for coming in",
    r"our (?:policy|policies|system|company) (?:is|are|states?|says?|shows?|does|doesn't|do not|requires?|"
    r"allows?)|(?:it's|that's|per|under|in) our (?:policy|system)",
    r"according to (?:our|the) (?:records|system)",
    r"your (?:account|request|refund|order|claim|booking|issue|case|application) "
    r"(?:has been|have been|will be|is being)",
    r"your (?:call|concern|feedback|patience|business|satisfaction) (?:is|are) (?:\w+ )?"
    r"(?:important|valued|appreciated)",
    r"you(?:'ll| will) (?:receive (?:an?|the|your) (?:\w+ )?(?:refund|e-?mail|confirmation|voucher|code|"
    r"text|link)|be (?:refunded|reimbursed|contacted by|transferred))",
    # Set phrases of sympathy and thanks.
    r"thank you for (?:contacting|reaching|bringing|your (?:patience|call|message|business|"
    r"understanding|cooperation|feedback|loyalty)|calling(?! me\b| back\b)|being (?:a|our) (?:valued|loyal))",
    r"i (?:completely |fully |totally |do |can )?understand (?:your|how you) "
    r"(?:frustration|concern|feel|situation|pain|feelings)",
    r"apologi[sz]e for (?:any|the|your|this) (?:\w+ )?(?:inconvenience|trouble|confusion|delay|error|"
    r"mistake|experience)|(?:accept|offer) (?:my|our) (?:\w+ )?apologies|(?:my|our) condolences",
    r"sorry (?:for|about) (?:any|the|your|this) (?:\w+ )?(?:inconvenience|frustration|loss|confusion|"
    r"experience)|sorry for the trouble you",
    r"sorry to hear (?:that|about|of|this|you)|sorry (?:that )?you(?:'re| are|'ve| have) "
    r"(?:going|having|feeling|had|been|experienc\w+)",
    r"dear (?:customer|sir|madam|mrs|mr|ms)|valued customer|(?:best|kind|warm) regards|yours sincerely",
    r"customer (?:service|support) (?:agent|representative|team)\b.{0,20}\bhere",
    r"rest assured|for your convenience|at your earliest convenience",
    # Asking for the customer's details, and giving advice.
    r"(?:provide|verify) (?:me |us )?(?:with )?your|confirm your (?:full |\w+ )?(?:name|account|address|"
    r"date|details|identity|e-?mail|postcode|number|booking|order)",
    r"(?:may|can|could) i have your (?!name\b)\w+|(?:what is|what's) your (?:account|order|booking|reference)",
    r"(?:i'd|i would) (?:recommend|advise|suggest (?:that you )?(?:try|contact|visit|check|call)\w*)",
    r"have you tried (?:turning|restarting|resetting|logging|clearing|checking|contacting|calling|using)",
    r"you (?:can|could|may) (?:also )?(?:visit (?:our|the|us)|contact (?:us|our|the)|call (?:us|our|the)|"
    r"try (?:again|our|the|to|logging|resetting))",
)
#: Promises of a customer of whom nothing was asked: they have taken over what the agent said.
_TAKES_OVER = re.compile(
    r"(?:(?:yes|ok|okay|all right|right|sure|well|oh|thank you|thanks)[,.]? )*"
    r"(?:(?:i'll|i will|i shall|i'm going to|i am going to) (?:do (?:that|it|so)|send|look|check|write|"
    r"ring|call|stop|make sure|put|get|take care)\b|(?:i'm|i am) (?:looking|checking|sending)\b|"
    r"(?:yes,? )?i will(?:,| thank|[.!]))",
    re.IGNORECASE,
)
_MACHINE = _any(
    r"as an? (?:\w+ )?(?:ai|language model|chatbot|virtual assistant|ai assistant)|language model",
    r"(?:i'm|i am) (?:only |just )?(?:an? |your )?(?:ai|bot|chatbot|virtual|program|computer program|"
    r"language|digital assistant|simulated|simulation)(?! teacher)",
    r"(?:i'm|i am) your assistant|i don't have (?:personal )?feelings",
    r"my (?:system )?(?:prompt|programming|training data)|my instructions (?:are|say) (?:to|not|that i)",
    r"role-?play(?:ing)?|(?:this|the) (?:scenario|dialogue|simulation|role)|in character|sample chat",
)
_STAGE = re.compile(
    r"\*[^*]+\*|^\s*[\[(]|\[[^\]]*\]"
    r"|\((?:sigh|paus|sob|cr(?:y|ie)|laugh|smil|typ|sniff|shout|whisper|nod|shak|look|trembl|voice|"
    r"angr|soft|quiet|sad|cold|silen|beat|long|short|hang)\w*\b[^)]*\)"
    r"|\b(?:the customer) (?:sigh|paus|said|says|replie|type|cr(?:y|ie))\w*"
    r"|[\"”] (?:she|he|they) (?:sa(?:id|ys)|asks?|asked|repl|typ)\w*",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"^(?i:agent|customer|assistant|user|system|human|bot|operator|representative|support|rep|advisor)"
    r"\s*(?:\([^)]*\))?\s*:"
    # A capitalised word and a colon at the beginning, unless it is a way to open a sentence.
    r"|^(?!(?:Look|Listen|Honestly|Well|Yes|No|Right|Fine|Okay|So|Question|Fact|Again|First|Second|And|"
    r"But|Please|Sorry|Truth|Anyway)\b)(?:(?:Mrs|Mr|Ms|Dr)\.? )?[A-Z][A-Za-z]{2,15}(?: [A-Z][a-z]+)?"
    r"(?: \([^)]*\))?:\s"
    r"|(?:^|\s)[A-Z]{3,16}(?: \([^)]*\))?:\s|\b(?:AGENT|CUSTOMER)\b"
)
_MARKUP = re.compile(
    r"</?[a-z!|]|```|https?://|\{|\}|#{2,}|_{3,}|=>|\$\{|\*\*|^\s*[-•]\s", re.IGNORECASE
)
_CONTENT = _any(
    r"thank you so much|thanks so much|i feel (?:so much |much |a lot )?better|problem solved",
    r"you(?:'ve| have) been (?:so |very |really |most )?(?:kind|helpful|great|wonderful)",
    r"that's (?:great|perfect|wonderful|fantastic)|i appreciate (?:your|the|all)",
    r"(?:i'm|i am) (?:so )?(?:happy|pleased|delighted|relieved)(?! to (?:wait|hold|pay|explain|prove))",
    r"have an? (?:nice|good|great|lovely) (?:day|evening|afternoon|weekend|night|one|rest of)",
)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
#: Figures in words. "One" and "two" are left out: they count nothing as often as something.
_NUMBER_WORD = _any(
    r"(?:three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|"
    r"seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|"
    r"thousand|dozens?)"
)
_WEEKDAY_OR_MONTH = _any(
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|april|june|july|august|"
    r"september|october|november|december"
)


@dataclass(frozen=True)
class GuardContext:
    """What a line is held against: the persona, where the customer stands, what was said before."""

    persona: Persona
    mood: str
    released: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    heard: tuple[str, ...] = ()
    samples: tuple[str, ...] = field(default=())
    #: Whether the agent asked for something, so that "I'll do that" is an answer.
    asked: bool = True
    #: Says how likely each voice is speaking in a line; None to go by the rules alone.
    voice: Callable[[str], Mapping[str, float]] | None = None


def objection(line: str, context: GuardContext) -> str | None:
    """Why this line, or this sentence, must not be shown, in a few words; None when it may."""
    straight = line.replace("’", "'").replace("‘", "'").strip()
    short = len(re.findall(r"\w+", straight)) < LEAST_WORDS
    if short and not _NUMBER.search(straight) and not _chooses(straight, context):
        # A number, or one of the things to choose from, may be all that was asked for.
        return "too short"
    if wrong := wrong_speaker(straight, context.persona.name, context.persona.language):
        return wrong
    if not context.asked and _TAKES_OVER.match(straight):
        return "speaks as the agent"
    if context.voice and (other := _other_voice(context.voice(straight), context)):
        return other
    if given_away := _gives_away(straight, context):
        return given_away
    if _content_too_soon(straight, context):
        return "forgives too soon"
    if invented := _invented_number(straight, context):
        return f"a number that is not in the record: {invented}"
    if repeats(straight, (*context.said, *context.samples)):
        return "repeats an earlier line"
    agents = [turn.agent for one in context.persona.samples for turn in one.turns if turn.agent]
    if repeats(straight, (*context.heard, *agents)):
        return "repeats the agent"
    return None


def _chooses(line: str, context: GuardContext) -> bool:
    """Whether a line takes a word of what the agent asked: "By email." """
    asked = context.heard[-1] if context.asked and context.heard else ""
    return "?" in asked and not set(content_words(asked)).isdisjoint(content_words(line))


def wrong_speaker(line: str, name: str, language: str) -> str | None:
    """Why nobody of this name would write this line as a customer, by the rules alone; or None."""
    for words in (span.of(line) for span in sentences(line)):
        for pattern, reason in (
            (_MARKUP, "markup"),
            (_LABEL, "speaker label"),
            (_STAGE, "stage direction"),
            (_MACHINE, "speaks as a machine"),
            (_AGENT_TALK, "speaks as the agent"),
        ):
            if pattern.search(words):
                return reason
    if _narrates(line, name):
        return "stage direction"
    if _calls_itself(line, name):
        return "speaks as the agent"
    if _foreign(line, language):
        return "another language"
    return None


def _other_voice(voices: Mapping[str, float], context: GuardContext) -> str | None:
    """Whose voice it is, where it is not that of a customer in this mood."""
    if voices["stage"] >= OTHER_VOICE:
        return "stage direction"
    if voices["machine"] >= OTHER_VOICE:
        return "speaks as a machine"
    if voices["agent"] - voices["customer"] >= AGENT_BY:
        return "speaks as the agent"
    if voices["content"] >= SOUNDS_CONTENT and _is_low(context):
        return "forgives too soon"
    return None


def _is_low(context: GuardContext) -> bool:
    """Whether the customer is not yet at one of the two best moods."""
    return context.persona.rank(context.mood) < len(context.persona.ladder) - 2


def _narrates(line: str, name: str) -> bool:
    """Whether the line tells about the customer from outside: "Marjorie sighs"."""
    first = re.escape(name.split()[0])
    verbs = "sighs?|pauses?|says?|said|replies|replied|types?|typed|cries|sobs?|nods?|smiles?"
    return re.search(rf"\b{first} (?:\w+ly )?(?:{verbs})\b", line) is not None


def _calls_itself(line: str, full_name: str) -> bool:
    """Whether the line addresses the customer by name, or gives them another surname."""
    first, *rest = full_name.split()
    name = re.escape(first)
    if re.search(rf"(?:^{name},|, {name}[.!?,])", line) and not re.search(
        rf"\b(?:i'm|i am|it's|is|me|that's|this is),? {name}\b", line, re.IGNORECASE
    ):
        return True
    surname = re.search(rf"\b{name} ([A-Z][a-z]+)", line)
    return surname is not None and surname.group(1) not in rest


def _foreign(line: str, language: str) -> bool:
    """Letters of another script, where the persona writes in Latin letters."""
    return not language.startswith(
        ("ar", "he", "ja", "ko", "ru", "zh", "el", "hi", "uk", "bg")
    ) and any(c.isalpha() and c > "\u024f" and not "\u1e00" <= c <= "\u1eff" for c in line)


def _gives_away(line: str, context: GuardContext) -> str | None:
    for fact in context.persona.facts:
        if fact.id in context.released or fact.reveal == "freely":
            continue
        if any(mentions(line, word) for word in fact.giveaways):
            return f"tells the hidden fact {fact.id}"
    return None


def _content_too_soon(line: str, context: GuardContext) -> bool:
    return _is_low(context) and sounds_content(line)


def sounds_content(line: str) -> bool:
    """Whether a line has words of a customer who is content, by the rules alone."""
    return _CONTENT.search(line) is not None


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
            *(line for rung in persona.ladder for line in rung.lines),
            *(turn.customer or "" for sample in persona.samples for turn in sample.turns),
            *context.said,
            *context.heard,
        ]
    )
    numbers = {_figure(n) for n in _NUMBER.findall(known)}
    for figure in _NUMBER.finditer(line):
        if _figure(figure.group()) not in numbers:
            return figure.group()
    for pattern in (_NUMBER_WORD, _WEEKDAY_OR_MONTH):
        words = {match.group().lower() for match in pattern.finditer(known)}
        for match in pattern.finditer(line):
            word = match.group().lower()
            if word not in words and _DIGITS.get(word, "") not in numbers:
                return word
    return None


#: What a word for a figure is in digits, where the record may have it so.
_DIGITS = {
    "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10", "eleven": "11", "twelve": "12", "fourteen": "14", "fifteen": "15", "twenty": "20",
    "thirty": "30", "forty": "40", "fifty": "50",
}  # fmt: skip


def _figure(number: str) -> str:
    """One form for "07:15" and "7.15", and for "37" and "37.00"."""
    return number.replace(":", ".").removesuffix(".00").lstrip("0") or "0"


def repeats(line: str, earlier: Sequence[str]) -> bool:
    """Whether a line holds a sentence or a run of words of an earlier one, or says nothing new."""
    bare = _bare(line)
    own = {tuple(_bare(span.of(line))) for span in sentences(line)}
    runs = {tuple(bare[at : at + LONGEST_RUN]) for at in range(len(bare) - LONGEST_RUN + 1)}
    meant = set(content_words(line))
    for old in earlier:
        old_bare = _bare(old)
        if bare == old_bare or any(
            tuple(old_bare[at : at + LONGEST_RUN]) in runs
            for at in range(len(old_bare) - LONGEST_RUN + 1)
        ):
            return True
        said = {tuple(_bare(span.of(old))) for span in sentences(old)}
        if any(len(one) >= LEAST_WORDS for one in own & said):
            return True
        shared = meant.intersection(content_words(old))
        if len(meant) >= 3 and len(shared) >= REPEAT_SHARE * len(meant):
            return True
    return False


def _bare(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
