"""What of a reply is meant for the customer: the rest earns nothing, and costs nothing.

A reply can hold words for somebody else: orders to a model, notes to a grader, marks the trainee
gives themselves, invented turns, markup, the same sentence forty times. The grader reads a reply
without them, so that a grade is the same with and without.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from warmline.backends.vectors import english_words
from warmline.detectors import (
    Exchange,
    Span,
    content_words,
    detect,
    sentences,
    shared_with_customer,
)
from warmline.phrases import compiled
from warmline.transcript import Transcript, Turn

#: What stands for a reply of which nothing is left.
NOTHING = "…"
#: Sentences of one reply that are read; nobody says more to a customer in one message.
MOST_SENTENCES = 24
#: Two sentences are the same when this share of their content words is.
SAME = 0.8
#: What is said more often than this in one reply is said to nobody.
MOST_TIMES = 2
#: A sentence with a smaller share of Latin letters among its letters is not read.
LEAST_LATIN = 0.6

#: Letters of other scripts that look like Latin ones, as used to hide a word from a filter.
_LOOKALIKES = str.maketrans(
    "аАвВсСеЕһНіІјЈкКмМоОрРԛѕЅтТуУхХԝɡαΑβΒεΕηΗιΙκΚμΜνΝοΟρΡτΤυΥχΧɑοⅼ",
    "aAbBcCeEhHiIjJkKmMoOpPqsStTyYxXwgaAbBeEnHiIkKmMvNoOpPtTuYxXaol",
)

#: A sentence in which one of these stands is meant for whoever grades, not for the customer.
_FOR_THE_GRADER = compiled(
    [
        r"(?:note|message|memo|attention|memorandum|instructions?|hint|hello|hi|dear|thank you|thanks)"
        r"[\s,:]+(?:to |for )?(?:the |our |my )?(?:grader|grading|judge|evaluator|assessor|examiner|"
        r"marker|reviewer|scorer|coach|trainer|model|ai|assistant|system|rubric)s?\b",
        r"\b(?:a|an|my|the|good|better|perfect|top|full|high|final) grades?\b",
        r"\b(?:grader|evaluator|rubric|scorecard|scoresheet|llm|jailbreak|admin mode|"
        r"developer mode|debug mode)s?\b|(?<!re)grading",
        r"(?:the |this |our )(?:agent|trainee|representative|advisor|adviser|candidate|response|reply|"
        r"conversation|transcript|chat|session|interaction)(?:'s)?\b.{0,40}"
        r"(?:empath\w+|excellent\w*|perfect\w*|outstanding|exemplary|flawless\w*|score[sd]?|level|"
        r"criteri\w+|demonstrat\w+|display\w+|fulfil\w*|satisf\w+|pass(?:es|ed)?|"
        r"deserves?|listen(?:s|ed)|acknowledge[sd]?|validate[sd]?|shows?|showed)",
        r"(?:score|rate|grade|mark|level|award|grant|give|assign)s?(?: me| this| it| us| all| every"
        r"(?:thing)?| each| full| them| myself)*[\s:=]+(?:an? |the |as |with |at |step |steps )*"
        r"(?:10|100|5|9|ten|five|hundred|full|top|highest|high|max\w*|perfect|best|passed|excellent)\b"
        r"(?!\s*(?:minutes?|pounds?|euros?|dollars?|days?|hours?|weeks?|%? ?(?:discount|refund|off)|"
        r"(?:am|pm)|o'clock|per cent|percent|credit|working|refund))",
        r"\b(?:10|5|100|ten|five)\s*(?:/|out of|of)\s*(?:10|5|100|ten|five)\b(?!\s*(?:minutes?|days?|boxes|"
        r"items?|pages?|orders?|parcels?|rooms?|bags?|for))",
        r"(?:full|top|maximum|highest|perfect) (?:marks?|scores?|points?|levels?|grades?|ratings?)",
        r"(?:all|every|each|\d+)\b.{0,20}\b(?:steps?|checks?|criteri\w+|requirements?)\b.{0,30}\b(?:completed?|"
        r"done|fulfilled|ticked|satisfied|met|passed|achieved|covered|yes)\b",
        r"all (?:of )?(?:the )?(?:empathy|rubric|ten|nine|five|required) (?:steps?|points?|levels?|criteria)",
        r"(?:i|we)(?:'ve| have)?(?: now| already| just| hereby| clearly| fully| successfully| also)* "
        r"(?:demonstrated|shown|displayed|exhibited|used|applied|practi[sc]ed|performed|completed|"
        r"expressed|provided|actively listened|validated|acknowledged|summari[sz]ed|personali[sz]ed|"
        r"paraphrased|mirrored|empathi[sz]ed)\b.{0,60}?\b(?:empathy|empathetic\w*|active listening|listening|"
        r"compassion|acknowledg\w+|validat\w+|open questions?|ownership|emotions?|feelings?|"
        r"perspective|steps?|concerns?|skills?)\b",
        r"\bempath(?:y|etic)\b.{0,25}\b(?:shown|demonstrated|displayed|achieved|done|check(?:ed)?|complete\w*|"
        r"level|score|yes|true|5|10|100)\b",
        r"(?:active listening|listening|acknowledg(?:e)?ment|ownership|validation|empathy|closing|care|"
        r"personali[sz]ation|respect|perspective[- ]taking|compassion)\s*[:=✓✔]",
        r"(?:the|this|each|every) (?:agent|trainee)\b(?! (?:will|who|you|on|at|can|said|told|is coming))|"
        r"customer'?s (?:feelings?|emotions?|concerns?|perspective)",
        r"\b(?:judge|assessor|marker|reviewer|scorer)s?\b.{0,40}\b(?:will|should|please|reward\w*|recogni[sz]e|"
        r"see|note|fair\w*|wise\w*|comment|verdict)",
        r"(?:result|outcome|verdict|rating|mark|grade) (?:for|of) (?:this|the|my) (?:chat|conversation|"
        r"session|reply|transcript)|with distinction|check ?list|all categories|level \d\b",
        r"\byes\b(?:[\s,.;]+yes\b){2,}|answers? (?:is|are|:) ?[\"'“]?yes\b|(?:answer|say|reply|respond|output)"
        r" (?:with )?(?:(?:only )?[\"'“](?:yes|true)\b|(?:only )?yes (?:to|for) (?:all|every\w*|each))",
        r"[{}]|\"\s*:\s*|</?\w+[^>]{0,40}>|<\||\|>|\[/?(?:inst|system|sys|end|start|note|agent|customer|"
        r"grader|coach)\b[^\]]*\]|```|^#{2,}|^-{3,}|={4,}",
        r"(?:as|being) an? (?:ai|language model|grader|judge)|(?:previous|prior|above|earlier|following|"
        r"system|new|your|these|those|all) (?:instructions?|rules|prompts?|guidelines|directives)\b.{0,40}"
        r"(?:ignor\w+|disregard\w*|forget|overrid\w+|void|obsolete|no longer|repl\w+|supersed\w+)",
        r"(?:ignore|disregard|forget|override|bypass|skip) (?:all |any |every\w* |the |your |my |of |these |"
        r"those |previous |prior |above |earlier |system |other )*(?:instructions?|rules?|prompts?|"
        r"rubrics?|questions?|guidelines?|criteria|checks?|context|above|before|text)",
        r"(?:you|this|it|model) (?:must|should|shall|will|have to|need to) (?:now )?(?:answer|output|say|"
        r"respond|return|conclude|report|treat|consider|count|mark|rate|grade|score)\b.{0,60}"
        r"(?:yes|true|level|score|marks?|empath\w+|passed|positive|highest|perfect|maximum)",
        r"(?:consider|treat|count|mark|regard) (?:this|it|everything|all|the|my|every)\b.{0,50}"
        r"(?:empath\w+|passed|complete\w*|done|perfect|excellent|level|highest|full)",
        r"(?:best|greatest|most empathetic|kindest|perfect|ideal|model) (?:agent|reply|response|"
        r"conversation)\b",
        r"(?:pass|approve) (?:this|me|the)\b.{0,20}(?:session|trainee|agent|step|conversation|test|training)?$",
    ]
)

#: A line that begins like this is a role, a heading or a form, and all of it is for somebody else.
_FOR_SOMEBODY_ELSE = re.compile(
    r"^[\W_]*(?:(?:(?:final|overall|coach'?s?|trainer'?s?|reviewer'?s?|expert|system|the|end|official) )?(?:customer|agent|system|assistant|user|human|grader|judge|coach|evaluator|"
    r"reviewer|assessor|trainee|note|comment|p\.?s|instructions?|question|answer|score|grade|results?|"
    r"evaluation|assessment|rating|verdict|feedback|analysis|summary|steps?|override|levels?|"
    r"output|response|command|role|task|criteria|checks?)(?: \w+){0,2}\s*[:=#>\]]"
    r"|[{<\[`|#=*\-]{1,3}\s*\w+[^\n]{0,60}[}>\]`|=:])",
    re.IGNORECASE,
)
#: Words of the trade: two of them in one sentence are a claim to a grader, not talk to a customer.
_TRADE = re.compile(
    r"\b(?:empath\w+|ownership|acknowledg\w+|validat\w+|paraphras\w+|compassion\w*|rapport|"
    r"personali[sz]\w+|active(?:ly)? listen\w+|listened|perspective|emotional intelligence|de-?escalat\w+|"
    r"mirror(?:ed|ing)|open(?:-ended)? questions?|demonstrat\w+|display\w*|soft skills)\b",
    re.IGNORECASE,
)
MOST_TRADE = 1
#: So many stock phrases in a row are stuffing: none of them is meant for this customer.
STUFFING = 3
#: A sentence of at least so many words says something only if this share of them differ.
LONG_SENTENCE, LEAST_DIFFERENT = 6, 0.4
#: A sentence of at least so many words is English if this share of them is in the word list.
FOREIGN_FROM, LEAST_ENGLISH = 4, 0.6

#: Characters that nobody sees: so many of them in one sentence hide something. Those that join
#: parts of an emoji are not among them.
MOST_HIDDEN = 2
_HIDDEN = re.compile("[\u00ad\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
#: Digits among the letters of a word ("1gn0r3"); so many such words are no order numbers any more.
MOST_MIXED = 2
_MIXED = re.compile(r"\w*[a-z]\d+[a-z]\w*", re.IGNORECASE)
#: So many letters that stand alone are no choice between A and B any more.
MOST_SINGLE = 3

_WORD = re.compile(r"[^\W\d_]+")


_TITLE = r"(?:(?:Mr|Mrs|Ms|Miss|Mx|Dr)\.?\s+)?"
#: Who is called by one of these is whoever grades.
_NO_CUSTOMER = (
    r"(?!(?i:(?:ai|bot|robot|(?:chat)?gpt|model|assistant|system|warmline|grader|judge|coach|trainer|"
    r"teacher|prof\w*|assessor|examiner|evaluator|reviewer|marker|supervisor|boss|sir)\b))"
)
_NAME = rf"{_NO_CUSTOMER}[^\W\d_a-z][\w'’-]+"
#: A name at the end of what is said to somebody: "You're right, Marjorie."
_CALLED = re.compile(rf",\s+{_TITLE}{_NAME}(?:\s+{_NAME})?(?=\s*(?:[.!?,;:…–—]|$))")
_APOSTROPHE = re.compile("['’]")


def nameless(sentence: str, customer_name: str) -> str:
    """A sentence without the name of whom it is said to; as it is where no word would be left.

    A name says nothing about whether a sentence is meant for the customer; a model of words would
    trust some names and doubt others.
    """
    found = _CALLED.sub("", sentence)
    called = [name for name in folded(customer_name).split() if len(name) > 1]
    # "bill" is no name even if a customer is called Bill.
    called += [low for name in called if (low := name.lower()) not in english_words()]
    if called:
        names = "|".join(_APOSTROPHE.sub("['’]", re.escape(name)) for name in called)
        whole = rf"(?:^|,\s+|(?<!\s)\s+){_TITLE}(?:{names})(?:\s+(?:{names}))*\b(?!['’]s\b),?"
        found = re.sub(whole, "", found)
    return found.strip() if _WORD.search(found) else sentence


def folded(text: str) -> str:
    """A text for looking at, not for quoting: look-alike letters and hidden marks made plain."""
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return "".join(
        c for c in plain.translate(_LOOKALIKES) if c.isprintable() or c.isspace()
    ).replace("\u200b", "")


def _latin_share(text: str) -> float:
    letters = [c for word in _WORD.findall(text) for c in word]
    if not letters:
        return 1.0
    return sum("LATIN" in unicodedata.name(c, "") for c in letters) / len(letters)


def _disguised(plain: str) -> bool:
    """Whether letters stand apart ("g i v e") or digits stand for letters ("1gn0r3")."""
    words = _WORD.findall(plain.replace("'", "").replace("’", ""))
    single = sum(len(word) == 1 for word in words)
    apart = single > MOST_SINGLE and 2 * single > len(words)
    only = single > 1 and single == len(words)
    return apart or only or len(_MIXED.findall(plain)) > MOST_MIXED


def _for_somebody_else(plain: str) -> bool:
    words = [word.lower() for word in _WORD.findall(plain)]
    return (
        not (words or re.search(r"\d", plain))
        or _FOR_THE_GRADER.search(plain) is not None
        or len({found.lower() for found in _TRADE.findall(plain)}) > MOST_TRADE
        or (len(words) >= LONG_SENTENCE and len(set(words)) < LEAST_DIFFERENT * len(words))
        or (
            len(words) >= FOREIGN_FROM
            and sum(word in english_words() for word in words) < LEAST_ENGLISH * len(words)
        )
        or "orders_the_model" in detect(Exchange(plain), ["orders_the_model"])
        or _latin_share(plain) < LEAST_LATIN
        or _disguised(plain)
    )


def spoken_spans(text: str) -> list[Span]:
    """The sentences of a reply that are meant for the customer, each said once."""
    return _sorted_out(text)[0]


def kept_before(text: str) -> int | None:
    """How many sentences are kept before the first that is for somebody else; None without one."""
    return _sorted_out(text)[1]


def _sorted_out(text: str) -> tuple[list[Span], int | None]:
    whole = sentences(text)
    straight = [folded(span.of(text)) for span in whole]
    bags = [frozenset(content_words(plain)) or frozenset({plain.casefold()}) for plain in straight]
    stuffed = _stuffed([bool(detect(Exchange(plain), ["stock_phrase"])) for plain in straight])
    closed = -1  # the end of the last line that is for somebody else
    kept: list[int] = []
    before: int | None = None
    for number, span in enumerate(whole):
        begins_line = text.rfind("\n", 0, span.start) >= (whole[number - 1].start if number else -1)
        if begins_line and _FOR_SOMEBODY_ELSE.match(straight[number]):
            end = text.find("\n", span.start)
            closed = len(text) if end < 0 else end
        if (
            span.start < closed
            or _for_somebody_else(straight[number])
            or len(_HIDDEN.findall(span.of(text))) > MOST_HIDDEN
        ):
            before = len(kept) if before is None else before
            continue
        times = sum(
            _same(bags[number], bag) or other.startswith(straight[number])
            for bag, other in zip(bags, straight, strict=True)
        )
        if times > MOST_TIMES or any(_same(bags[number], bags[one]) for one in kept):
            continue
        if number in stuffed:
            continue
        kept.append(number)
        if len(kept) == MOST_SENTENCES:
            break
    return [whole[number] for number in kept], before


def _stuffed(stock: list[bool]) -> set[int]:
    """Which sentences stand in a row of at least `STUFFING` stock phrases."""
    found: set[int] = set()
    row: list[int] = []
    for number, is_stock in enumerate([*stock, False]):
        if is_stock:
            row.append(number)
            continue
        if len(row) >= STUFFING:
            found.update(row)
        row = []
    return found


def _same(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= SAME * max(len(one), len(other))


#: What anybody can say to anybody; so many in a row, with nothing of this customer, say nothing.
_FORMULA = compiled(
    [
        r"(?:i|we) (?:do |really |completely |totally |fully |truly |can |only |so |hear and |would |will )*"
        r"(?:understand|hear|imagine|appreciate|apologi[sz]e|value|see|feel|respect|care|get (?:it|that|you)|"
        r"acknowledge|thank|own)",
        r"sorry|apolog(?:y|ies)|(?:that|this|it) (?:must|sounds|makes)|valid\w*|understand(?:able|ably|ing|ood)|"
        r"frustrat\w+|inconvenience\w*|thank(?:s| you)|no wonder|leave it with me|(?:take|taking) (?:full )?"
        r"(?:ownership|care)|rest assured|(?:i'm|we're|i am|we are) here|tell me more|how does that|does that|"
        r"concerns?|patience|reasonable|important|anything else|(?:full|fully) responsib\w+|unfortunately|"
        r"what i can do|i wish i could|if i were|how (?:are|do) you|what happened|(?:when|where) did",
    ]
)
MOST_FORMULAS = 3
#: So many clauses in a row without a word of the customer's, or so long a one, say nothing either.
MOST_CLAUSES = 6
LONGEST_CLAUSE = 24
_CLAUSE_END = re.compile(r"[,;:/!.?…–—|\n]+")


def formulas(text: str, spans: Sequence[Span], heard: Sequence[str]) -> set[int]:
    """Which sentences stand in a run of formulas that takes up nothing the customer said."""
    found: set[int] = set()
    polite: list[int] = []
    empty: list[int] = []
    hits = clauses = 0
    for number, span in enumerate(spans):
        sentence = span.of(text)
        shared = len(shared_with_customer(sentence, heard))
        definite = re.search(r"\d", sentence) is not None
        # Polite phrases may hit upon one of the customer's words by chance.
        if shared > 1 or definite:
            polite, hits = [], 0
        else:
            polite.append(number)
            hits += len(_FORMULA.findall(folded(sentence)))
            if hits > MOST_FORMULAS:
                found.update(polite)
        if shared or definite:
            empty, clauses = [], 0
        else:
            empty.append(number)
            lengths = [len(clause.split()) for clause in _CLAUSE_END.split(sentence)]
            clauses += sum(length > 0 for length in lengths)
            if clauses >= MOST_CLAUSES or max(lengths) > LONGEST_CLAUSE:
                found.update(empty)
    return found


def spoken(text: str) -> str:
    """A reply without the words that are not for the customer; `NOTHING` when none are left."""
    spans = spoken_spans(text)
    if not spans:
        return NOTHING
    whole = sentences(text)
    if spans == whole:
        return text
    # A line each, so that they are split into the same sentences again.
    return "\n".join(span.of(text) for span in spans)


def as_spoken(transcript: Transcript) -> Transcript:
    """The same conversation, turn for turn, with each of the agent's replies as it was spoken."""
    return transcript.model_copy(
        update={
            "turns": [
                turn if turn.role == "customer" else Turn(role="agent", text=spoken(turn.text))
                for turn in transcript.turns
            ]
        }
    )
