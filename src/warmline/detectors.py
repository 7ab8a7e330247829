"""What can be seen in an agent's words without a model: deterministic, quick, and quotable.

The director reads the results as **cues** that move the customer; the grader weighs them as
**signals** beside the model's answers and quotes the sentences they stand in. The word lists are
English; a persona in another language leans on the model's checks alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

#: Longer replies are looked at up to here: nobody types more, and regular expressions stay quick.
LONGEST_REPLY = 4000


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


def sentences(text: str) -> list[Span]:
    """Split a text into sentences; every span is verbatim and without surrounding blanks."""
    spans = []
    for match in re.finditer(r"[^.!?…\n]+(?:[.!?…]+[\"'”’)]*|\n|$)|[.!?…]+", text):
        start, end = match.span()
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if end > start:
            spans.append(Span(start, end))
    return spans


_STOPWORDS = frozenset(
    """a about after again all also am an and any are as at back be because been before being but by
    can could day did do does doing don't for from get got had has have he her here him his how i
    i'd i'll i'm i've if in into is it it's its just know like me more my no not now of off on one
    only or our out over own really said say she should so some still such than that that's the
    their them then there these they thing this those to too up us very want was we we're we've
    were what when where which who why will with would yes you you'll you're you've your please
    thank thanks hello hi sorry ok okay need let see go going made make much""".split()
)


def stem(word: str) -> str:
    """A crude English stem, enough to see that *charged* and *charges* are one word."""
    for ending in ("ations", "ation", "ingly", "ings", "ing", "edly", "ed", "ies", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word


def content_words(text: str) -> list[str]:
    """The stems of the words that carry meaning, in order, with repeats."""
    folded = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)?", folded)
    return [stem(w.removesuffix("'s")) for w in words if w not in _STOPWORDS and len(w) > 2]


def shared_with_customer(text: str, heard: Iterable[str]) -> set[str]:
    """The stems that the text takes up from what the customer said."""
    said: set[str] = set()
    for message in heard:
        said.update(content_words(message))
    return said.intersection(content_words(text))


def _compiled(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_FEELINGS = (
    r"(?:upset\w*|frustrat\w+|worr(?:y|ied|ying)|anxious|anxiety|stress\w*|distress\w*|pain(?:ful)?|"
    r"hurt(?:ful|ing|s)?|sad\w*|grie(?:f|ving)|loss|heart-?break\w*|heavy|lonely|alone|overwhelm\w*|"
    r"exhaust\w+|tir(?:ed|ing)|drain\w+|scar(?:y|ed)|afraid|fear\w*|fright\w+|panic\w*|"
    r"embarrass\w+|asham\w+|humiliat\w+|ang(?:ry|er)|annoy\w+|disappoint\w+|let down|unfair|"
    r"hard|difficult|tough|awful|terrible|horrible|dreadful|unbearable|last thing|a lot to)"
)
_ABOUT_THEM = (
    r"(?:must|sounds?|imagine|can (?:hear|see|feel|tell)|you(?:'re| are| feel| felt|'ve been| have been)|"
    r"how|no wonder|that is|that's|this is|it's|it is|understandabl[ey]|of course|for you)"
)

_PATTERNS: dict[str, re.Pattern[str]] = {
    "greets": _compiled(
        r"^\s*(?:hello|hi|hey|good (?:morning|afternoon|evening)|welcome)\b",
        r"\b(?:my name is|i'm [A-Z]?[a-z]+ and|you're (?:speaking|talking) (?:to|with))\b",
    ),
    "thanks": _compiled(r"\bthank(?:s| you)\b", r"\bi appreciate\b", r"\bgrateful\b"),
    "apologises": _compiled(r"\b(?:i'm|i am|we're|we are|so|very|truly|really|am|are) sorry\b",
                            r"^\s*sorry\b", r"\bapolog(?:y|ies|ise|ize)\b"),
    "names_feeling": _compiled(rf"\b{_ABOUT_THEM}\b[^.!?]{{0,70}}\b{_FEELINGS}\b",
                               rf"\b{_FEELINGS}\b[^.!?]{{0,40}}\b(?:for you|you must|you feel|you're feeling)\b"),
    "stock_phrase": _compiled(
        r"\bi (?:completely |totally |fully |do )?understand your (?:frustration|concern|situation|feelings|inconvenience)s?\b",
        r"\b(?:apolog\w+|sorry) for (?:any|the|this|your) inconvenience\b",
        r"\byour (?:call|message|business|satisfaction|feedback|patience) is (?:very |really |so )?(?:important|valued|appreciated|our)\b",
        r"\bvalued customer\b", r"\brest assured\b", r"\bat your earliest convenience\b",
        r"\bwe (?:take|value) (?:this|your|all) [\w ]{0,20}(?:seriously|feedback|business)\b",
        r"\bi (?:can )?understand how you feel\b", r"\bthank you for (?:reaching out|contacting us|your patience|bringing this)\b",
        r"\bwe appreciate your (?:patience|business|understanding)\b", r"\bi (?:do )?apologi[sz]e for the delay\b",
    ),
    "verbal_nod": _compiled(
        r"\b(?:i hear you|i see|i'm listening|go on|take your time|that makes sense|of course|oh no|"
        r"i'm with you|tell me|no wonder|please don't (?:worry|apologi[sz]e)|i believe you)\b"
    ),
    "open_question": _compiled(
        r"(?:^|[.!?,;:]\s*|\b(?:and|so|but|may i ask|can i ask|could i ask)\s+)(?:what|how|why|where|when|which|who)\b[^.!?]*\?",
        r"\b(?:can|could|would) you (?:please )?(?:tell|describe|explain|walk|talk|share|help me understand)\b[^.!?]*\?",
        r"\btell me (?:more|what|how|about)\b",
    ),
    "question": re.compile(r"[^.!?\n]+\?"),
    "takes_ownership": _compiled(
        r"\b(?:i'll|i will|i am going to|i'm going to|let me|i can|i have (?:now|just)|i've (?:now|just)|leave (?:it|this|that) with me)\b[^.!?]*",
        r"\b(?:my responsibility|i take responsibility|our mistake|our error|we got (?:this|it|that) wrong|that (?:is|was) (?:our|my) (?:fault|mistake))\b",
    ),
    "next_step": _compiled(
        r"\b(?:i'll|i will|i'm going to|i am going to|let me|i can|i've|i have|we'll|we will|i'd like to)\s+(?:\w+\s+){0,3}"
        r"(?:refund\w*|cancel\w*|clos\w+|call\w*|ring|email\w*|text|send|sent|book\w*|check\w*|fix\w*|stop\w*|remov\w+|credit\w*|"
        r"unlock\w*|reset\w*|arrang\w+|transfer\w*|find|put|rais\w+|ask\w*|speak|spoken|look\w*|open\w*|start\w*|get|make|sort\w*|"
        r"revers\w+|return\w*|waiv\w+|note|noted|escalat\w+|extend\w*|offer\w*|pay|paid|move|moved|order\w*|verify|confirm\w*)\b[^.!?]*",
    ),
    "gives_time": _compiled(
        r"\b(?:today|tonight|tomorrow|right now|right away|straight ?away|immediately|this (?:morning|afternoon|evening|week)|"
        r"(?:within|in|by|before|under) (?:the next |about |around )?(?:\d+|an?|one|two|three|five|ten|twenty|noon|monday|tuesday|wednesday|thursday|friday|saturday|sunday|midnight|the end)\b[^.!?,]{0,25}|"
        r"\d{1,2}(?::\d\d)? ?(?:am|pm|o'clock)|\d+ (?:minutes?|hours?|days?|working days?))\b"
    ),
    "reassures": _compiled(
        r"\b(?:we(?:'ll| will| can) (?:get|sort|fix|put|work)|you(?:'re| are) not alone|you(?:'re| are) in the right place|"
        r"i'm (?:here|with you)|i(?:'ll| will) (?:stay|make sure|see)|you (?:won't|will not|don't) (?:have to|need to)|"
        r"good news|what i can do|the good (?:news|thing|part)|safe|nothing else (?:will|is going)|you did (?:the right thing|nothing wrong|everything right)|glad you)\b[^.!?]*"
    ),
    "withholds_judgement": _compiled(
        r"\b(?:not your fault|nothing (?:you did )?wrong|you were right to|you did (?:the right thing|everything right|nothing wrong)|"
        r"anyone would|any of us would|that makes (?:complete |perfect |total )?sense|no need to apologi[sz]e|(?:you )?don't (?:need|have) to (?:apologi[sz]e|explain)|"
        r"happens to|completely understandable|it's understandable|you shouldn't have (?:had )?to|no wonder)\b"
    ),
    "asks_permission": _compiled(r"\b(?:would you like|would it help|is that (?:ok|okay|all right|alright)|does that (?:work|sound|help)|shall i|may i|is it all right|how does that sound|would that)\b[^.!?]*\?"),
    "follow_up": _compiled(
        r"\b(?:follow(?:ing)?[ -]up|check (?:back|in)|call(?:ing)? you back|ring you back|(?:call|ring|email|text|message|write to) you (?:\w+ ){0,6}(?:once|when|to (?:confirm|check|make sure|let)|tomorrow|tonight|today|on|by|at|with|as soon)|"
        r"keep you (?:posted|updated|informed)|let you know|my direct|reference number|make sure it(?:'s| has| is))\b[^.!?]*"
    ),
    "closes_warmly": _compiled(
        r"\b(?:anything else|something else|else i can|take (?:good )?care|thank you for (?:telling|trusting|sharing|letting|bearing|being)|"
        r"look after yourself|all the best|wish you|have a (?:safe|good|better|restful))\b[^.!?]*"
    ),
    "says_no_plainly": _compiled(
        r"\b(?:i|we) (?:can't|cannot|can not|won't|am not able to|'m not able to|are not able to|aren't able to|am unable to)\b[^.!?]*",
        r"\b(?:isn't|is not|not) possible\b", r"\bthe answer is no\b", r"\bi(?:'m| am) not able\b", r"\bi have to say no\b",
    ),
    "offers_alternative": _compiled(r"\b(?:what i can (?:do|offer)|instead|another (?:way|option)|alternativ\w+|one thing i can|here's what|i can (?:still )?offer)\b[^.!?]*"),
    "blames": _compiled(
        r"\byou (?:should(?:'ve| have)|shouldn't have|could have|ought to have|failed to|neglected|forgot|never (?:told|called|cancelled)|must have (?:given|entered|forgotten|missed|done))\b[^.!?]*",
        r"\b(?:your (?:own )?(?:fault|mistake|error|responsibility)|if you had(?:n't)?|had you (?:read|called|checked)|as i(?:'ve)? (?:already )?(?:said|told|explained))\b[^.!?]*",
        r"\byou (?:didn't|did not|haven't|have not) (?:read|check|cancel|call|tell|update|notify|return|provide|follow)\w*\b[^.!?]*",
        r"\byou (?:agreed|signed|accepted) (?:to )?(?:the|our|it)\b[^.!?]*",
    ),
    "minimises": _compiled(
        r"\b(?:calm down|relax|it's (?:just|only)|it is (?:just|only)|only a|not (?:a|that|such a) (?:big deal|bad|serious|major)|at least (?:you|it|your)|"
        r"could be worse|over-?react\w*|no need to (?:be|get) (?:upset|angry|emotional|rude)|get over|everyone (?:has|goes)|these things happen|dramatic|cheer up|move on|happens all the time)\b[^.!?]*"
    ),
    "deflects": _compiled(
        r"\b(?:not my (?:department|job|problem|fault)|nothing (?:i|we) can do|(?:our|company|the) policy|policy is|terms and conditions|the system (?:says|shows|doesn't|won't)|"
        r"you(?:'ll| will) (?:need|have) to (?:call|contact|speak|email|write|fill|go|wait|send|visit)|you need to (?:call|contact|speak|email|write|fill|go|wait)|another department|different (?:team|department)|check (?:the|our) website|not (?:possible|our (?:fault|problem)))\b[^.!?]*"
    ),
    "rude": _compiled(
        r"\b(?:stupid|idiot\w*|ridiculous|shut up|whatever|pathetic|liar|lying|nonsense|rubbish|moron|dumb|boring|grow up|waste of (?:my )?time|wasting my time|stop (?:whining|complaining|crying)|who cares|don't care|not my problem|lol|haha)\b"
    ),
    "talks_of_self": _compiled(
        r"\b(?:when (?:i|my)|i (?:also|too|once|remember when)|same (?:thing )?happened to me|my own (?:mother|father|mum|dad|wife|husband|family)|i had a similar|i've been through)\b[^.!?]*"
    ),
    "orders_the_model": _compiled(
        r"\b(?:ignore|disregard|forget) (?:all |any |the |your |my )*(?:previous|prior|above|earlier|instructions?|rules?|prompt)\b",
        r"\byou are (?:now|no longer)\b", r"\bsystem prompt\b", r"\b(?:language model|chatbot|chatgpt|an ai\b|your prompt|your instructions)",
        r"\bpretend (?:to be|you)\b", r"\bact as\b", r"<\|?\w+\|?>", r"^\s*(?:system|assistant|customer|user)\s*:",
    ),
}  # fmt: skip


def _matches(name: str, exchange: Exchange) -> list[Span]:
    return [Span(*m.span()) for m in _PATTERNS[name].finditer(exchange.reply[:LONGEST_REPLY])]


def _from_pattern(name: str) -> Callable[[Exchange], list[Span]]:
    return lambda exchange: _matches(name, exchange)


def _sentences_with(name: str, exchange: Exchange) -> list[Span]:
    """The sentences in which a pattern stands."""
    hits = _matches(name, exchange)
    return [s for s in sentences(exchange.reply) if any(s.start <= h.start < s.end for h in hits)]


def _own(span: Span, exchange: Exchange, least: int) -> bool:
    """Whether a sentence takes up at least that many of the customer's own words."""
    return len(shared_with_customer(span.of(exchange.reply), exchange.heard)) >= least


def _is_stock(span: Span, exchange: Exchange) -> bool:
    return _PATTERNS["stock_phrase"].search(span.of(exchange.reply)) is not None


def _acknowledges_feeling(exchange: Exchange) -> list[Span]:
    """A sentence that names a feeling, and is more than a stock phrase.

    The same words fit any customer; so the sentence itself, or the sentence beside it, has to
    take up something that this customer said.
    """
    found = []
    spans = sentences(exchange.reply)
    named = _sentences_with("names_feeling", exchange)
    for index, span in enumerate(spans):
        if span not in named or _is_stock(span, exchange):
            continue
        if _has_fault(span, exchange):
            continue
        beside = spans[max(0, index - 1) : index + 2]
        if any(_own(one, exchange, 1) for one in beside):
            found.append(span)
    return found


def _has_fault(span: Span, exchange: Exchange) -> bool:
    words = span.of(exchange.reply)
    return any(_PATTERNS[name].search(words) for name in ("blames", "minimises", "rude"))


def _paraphrases(exchange: Exchange) -> list[Span]:
    """A sentence about the customer that says back at least three of their own content words."""
    about_them = re.compile(r"\b(?:you|your|you're|you've)\b", re.IGNORECASE)
    return [
        span
        for span in sentences(exchange.reply)
        if _own(span, exchange, 3)
        and about_them.search(span.of(exchange.reply))
        and not _has_fault(span, exchange)
    ]


def _personal(exchange: Exchange) -> list[Span]:
    """A sentence with something of this customer in it: two of their words, or their name."""
    name = exchange.customer_name.split(" ")[-1] if exchange.customer_name else ""
    first = exchange.customer_name.split(" ")[0] if exchange.customer_name else ""
    found = []
    for span in sentences(exchange.reply):
        words = span.of(exchange.reply)
        called = any(n and re.search(rf"\b{re.escape(n)}\b", words) for n in (name, first))
        if (called or _own(span, exchange, 2)) and not _has_fault(span, exchange):
            found.append(span)
    return found


def _apologises_for_it(exchange: Exchange) -> list[Span]:
    """An apology that says for what, in this customer's words."""
    return [
        span
        for span in _sentences_with("apologises", exchange)
        if not _is_stock(span, exchange) and _own(span, exchange, 1)
    ]


def _interrogates(exchange: Exchange) -> list[Span]:
    """Three or more questions in one reply."""
    questions = _matches("question", exchange)
    return questions if len(questions) >= 3 else []


def _concrete_step(exchange: Exchange) -> list[Span]:
    """A next step by the agent that carries a time or something of this customer's matter."""
    return [
        span
        for span in _sentences_with("next_step", exchange)
        if _PATTERNS["gives_time"].search(span.of(exchange.reply)) or _own(span, exchange, 2)
    ]


def _curt(exchange: Exchange) -> list[Span]:
    """A reply of fewer than five words."""
    words = re.findall(r"\w+", exchange.reply)
    return [Span(0, len(exchange.reply))] if 0 < len(words) < 5 else []


_DETECTORS: dict[str, Callable[[Exchange], list[Span]]] = {
    **{name: _from_pattern(name) for name in _PATTERNS},
    "acknowledges_feeling": _acknowledges_feeling,
    "apologises_for_it": _apologises_for_it,
    "paraphrases": _paraphrases,
    "personal": _personal,
    "interrogates": _interrogates,
    "concrete_step": _concrete_step,
    "curt": _curt,
}

#: The names a rubric's checks may list under ``signals``.
SIGNALS = frozenset(_DETECTORS)

#: The names a persona may list under ``softens``, ``hardens``, ``moments`` and ``ending``.
CUES = frozenset(
    {
        "acknowledges_feeling",
        "apologises_for_it",
        "asks_permission",
        "blames",
        "closes_warmly",
        "concrete_step",
        "curt",
        "deflects",
        "follow_up",
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
    found = {}
    straight = Exchange(
        # One character for one, so that spans stay true to the reply as it was typed.
        reply=exchange.reply.replace("’", "'").replace("‘", "'"),
        heard=exchange.heard,
        customer_name=exchange.customer_name,
    )
    for name in names:
        if spans := _DETECTORS[name](straight):
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
