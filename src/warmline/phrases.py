"""The English phrases that the detectors look for: what an agent says, well or badly.

Every entry of ``PHRASES`` holds what is looked for within one sentence, and the turns of phrase
that excuse it: "your fault" is blame, "not your fault" is the opposite. A finding that overlaps
with an excuse is dropped. Patterns stand at word boundaries and ignore case; ``'`` is the straight
apostrophe, and it may be missing in *dont*, *ive* and *im*, because people type in a hurry.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Phrases:
    """What is looked for in a sentence, and what excuses it."""

    wanted: re.Pattern[str]
    excuses: re.Pattern[str] | None = None

    def find(self, sentence: str) -> list[tuple[int, int]]:
        """Where in the sentence a phrase stands that nothing excuses."""
        found = [m.span() for m in self.wanted.finditer(sentence) if m.end() > m.start()]
        if not found or self.excuses is None:
            return found
        excused = [m.span() for m in self.excuses.finditer(sentence)]
        return [(a, b) for a, b in found if not any(s < b and a < e for s, e in excused)]


def words(text: str) -> str:
    """An alternation of the words in a text; an underscore stands for a blank."""
    return "(?:" + "|".join(text.split()).replace("_", " ") + ")"


def compiled(patterns: Sequence[str]) -> re.Pattern[str]:
    """One pattern for several, each at word boundaries, with hurried apostrophes allowed."""
    joined = "|".join(patterns)
    for short in ("n't", "'ve", "i'm", "you're", "you'll", "that's"):
        joined = joined.replace(short, short.replace("'", "'?"))
    return re.compile(rf"(?<!\w)(?:{joined})(?!\w)", re.IGNORECASE)


def phrases(*wanted: str, unless: Sequence[str] = ()) -> Phrases:
    """Phrases that are looked for, and those that excuse them."""
    return Phrases(compiled(wanted), compiled(unless) if unless else None)


_EMPTY_WORDS = """
    a about after again all also am an and any anybody anyone anything are as at back be because
    been before being but by can cannot cant could day did didnt do does doing dont everybody
    everyone everything for from get go going good got had has have he hello help her here hi him
    his how i if im in into is isnt it its ive just know let like made make me more much my need no
    nobody not nothing now of off ok okay on one only or our out over own please really said say
    see she should so some somebody someone something sorry still such than thank thanks that thats
    the their them then there theres these they thing this those to today too up us very want was
    we were what when where which who why will with wont would yes you your youre
"""
#: Words that carry no meaning of their own; nor does any word with an apostrophe (*don't*).
STOPWORDS = frozenset(_EMPTY_WORDS.split())

# --- building blocks ---------------------------------------------------------------------------

I_WILL = r"(?:i'll|i will|i shall|i'm going to|i am going to)"
WE_WILL = r"(?:we'll|we will|we shall|we're going to|we are going to)"
YOU_ARE = r"(?:you're|you are)"
YOU_WILL = r"(?:you'll|you will)"
NOT = r"(?:not|never|hardly|nor|cannot|\w+n't)"

#: Up to three words between "I'll" and the deed, none of which turns the sentence round.
BETWEEN = (
    r"(?:(?!"
    + words(
        """a an the to not never no nobody only unable afraid sorry need you your if that see know
        hope want wish"""
    )
    + r"\b)\w+ ){0,3}"
)

#: What an agent can do about a matter, in any form of the verb.
DEED = words(
    r"""add\w* alter\w* apply\w* arrang\w+ ask\w* book\w* bring\w* call\w* cancel\w* chang\w+ chas\w+
    check\w* clear\w* clos\w+ collect\w* confirm\w* correct\w* credit\w* deliver\w* email\w*
    escalat\w+ extend\w* fill\w* find\w* fix\w* found get(?:ting)? go(?:ing)?_through hold\w* issu\w+
    lift\w* logg?\w* look\w*\b(?!_into) mak(?:e|ing) made mov(?:e|ed|ing) not(?:e|ed|ing) offer\w*
    open\w* order\w* organis\w+ paid pay\w* post\w* put\w* rais\w+ rebook\w* refund\w* releas\w+
    remov\w+ renew\w* repair\w* replac\w+ reserv\w+ reset\w* return\w* revers\w+ ring\w* rung
    schedul\w+ sell\w* send\w* sent set sett\w+ sort\w* speak\w* spoken start\w* stay\w* stop\w*
    switch\w* take taking text\w* transfer\w*\b(?!_you) turn\w* unlock\w* updat\w+ verif\w+ waiv\w+
    writ(?:e|ing|ten)"""
)

NUMBER = (
    r"(?:\d+|"
    + words(
        """an? one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty
        forty sixty ninety half_an a_few a_couple_of the_next_few"""
    )
    + ")"
)
UNIT = words("seconds? minutes? mins? hours? hrs? days? nights? weeks? weekends? months?")
SPAN_OF_TIME = (
    rf"{NUMBER}(?: (?:or|to) {NUMBER}| ?[-–] ?\d+)?[ -](?:working |business |full )?{UNIT}"
)
DAY = words(
    r"""monday tuesday wednesday thursday friday saturday sunday mondays fridays january february
    march april june july august september october november december"""
)

#: Words for what somebody feels, or for what makes them feel it.
FEELING = words(
    r"""afraid agonising alarm(?:ed|ing) alone anger angry annoy\w+ anxiety anxious asham\w+ bereft
    betray\w+ crush\w+ cruel desperate devastat\w+ disappoint\w+ disheartening distress\w* drain\w+
    dread embarrass\w+ exhaust\w+ fear\w* fed_up fright\w+ frustrat\w+ furious grief griev\w+ gutted
    guilty heart-?ache heart-?break\w* helpless hopeless humiliat\w+ hurt(?:s|ful|ing)? infuriat\w+
    let_down lonely loneliness loss maddening miserable misery nerve-?w?racking nightmare on_edge
    overwhelm\w* pain(?:ful)? panic\w* powerless sad\w* scar(?:ed|y|ing) shak(?:en|y) shame shock\w*
    sore stings? stress\w* tir(?:ed|ing) unsettling upset\w* worn_out worr(?:y|ies|ied|ying)"""
)
#: Words that say how heavy a thing is to bear; they name a feeling only when said of the customer.
HEAVY = words(
    r"""(?:a_lot|so_much|too_much|enough)_to_(?:carry|hold|take|bear|cope|deal|face|handle) awful difficult dreadful grim hard
    heavy horrible horrid last_thing_(?:you|any(?:one|body)) rotten rough terrible tough unbearable
    unfair wretched"""
)
FELT = rf"(?:{FEELING}|{HEAVY})"
#: What makes such a word one about the customer.
ABOUT_THEM = (
    r"(?:must|sounds?|imagine|can (?:hear|see|feel|tell)|how|no wonder|of course|understandabl[ey]|"
    rf"{YOU_ARE}|you (?:feel|felt|sound|seem|were)|you've been|you have been|your|for you|"
    r"(?:leaves?|makes?|made|would make|left) (?:you|any(?:one|body))|"
    r"that's|that is|that was|this is|it's|it is|it was)"
)

#: What a form asks for. A question after one of these is no open question.
FORM_FIELD = words(
    r"""account address age amount booking code date day dob e-?mail extension holder id make model
    name number order password passcode pin postcode post_code reading reference serial surname
    time title type version year"""
)

FAMILY = words(
    r"""mother father mum dad mam wife husband brother sister son daughter gran grandma grandad nan
    grandmother grandfather aunt uncle cousin partner family dog cat friend neighbour kids children
    boss"""
)

# --- the phrases -------------------------------------------------------------------------------

PHRASES: dict[str, Phrases] = {
    # Good manners.
    "greets": phrases(
        r"^(?:hello|hi|hiya|hey|good (?:morning|afternoon|evening)|welcome)",
        r"my name is",
        r"(?:i'm|i am) (?-i:[A-Z][a-z]+)",
        r"^(?:this is|it's) (?-i:[A-Z][a-z]+)(?!')",
        rf"{YOU_ARE} (?:speaking|talking|chatting) (?:to|with)",
    ),
    "thanks": phrases(
        r"thanks|thank you",
        r"i(?: do| really| truly)* appreciate",
        r"i'm (?:so |very |really )?grateful",
        unless=[r"(?:no|without) thanks"],
    ),
    "apologises": phrases(
        r"(?:i'm|i am|we're|we are|so|very|truly|really) (?:\w+ ){0,2}sorry",
        r"^(?:oh,? )?sorry",
        r"sorry (?:that|about|for)|how (?:very |truly )?sorry (?:i am|we are)",
        r"forgive (?:me|us) (?:for|that)",
        r"apolog(?:y|ies|i[sz]e|i[sz]ing)",
        unless=[
            r"(?:no need|needn't|need not|nothing|don't|do not|never|shouldn't)"
            r"(?: \w+){0,3} (?:apolog\w+|sorry)",
            r"sorry (?:that |if )?you (?:feel|felt|think)",
        ],
    ),
    "closes_warmly": phrases(
        r"(?:anything|something) else",
        r"else (?:i|we) can",
        r"take (?:good |great )?care(?! of (?:it|this|that|the))",
        r"thank you for (?:telling|trusting|sharing|letting|bearing|being|talking|staying)",
        r"look after yoursel(?:f|ves)",
        r"all the best|good luck|sleep well|warm(?:est)? wishes",
        r"(?:i|we) wish you(?! (?:had|could|would|were|didn't|hadn't))",
        r"(?:give|send) .{1,30} my (?:best|love|regards)",
        r"have an? (?:\w+ )?"
        + words("safe good better restful lovely nice calm quiet peaceful gentle wonderful great"),
        r"i (?:do )?hope (?:you|your|that|the|it|things|he|she|they) .{0,40}"
        + words("well better rest easier soon gently kinder"),
    ),
    # Listening and feeling.
    "names_feeling": phrases(
        rf"{ABOUT_THEM}\b[^.!?]{{0,70}}\b{FELT}",
        rf"{FELT}\b[^.!?]{{0,40}}\b(?:for you|you must|you feel|you're feeling|on you)",
        rf"what an? (?:\w+ ){{0,3}}{FELT}",
        r"(?:grief|fear|worry|stress|shame|loneliness|pain|anger|loss|waiting) (?:is|was|can be|like)",
        rf"\w+ing .{{1,60}} (?:is|was|must be|must have been) (?:\w+ ){{0,2}}{FELT}",
        r"it (?:hurts|stings|aches)|(?:knocks?|knocked|left) you (?:sideways|back|reeling|shaken)",
        r"end of your tether|wits' end|heart goes out|poor thing|what an? (?:\w+ )?(?:rubbish|lousy)",
        r"feel(?:ing|s)? (?:\w+ ){0,2}"
        + words("lost stuck trapped abandoned ignored forgotten small foolish judged unheard"),
        unless=[
            # The agent's own regret, and the plain adjective.
            r"(?:i'm|i am|we're|we are) (?:\w+ ){0,2}(?:afraid|sad|upset|tired|worried)",
            r"(?:hard|difficult|tough) (?:to (?:say|find|see|tell|know|reach|predict|check|trace)|"
            r"for (?:me|us)|copy|drive|reset)",
            r"hard[ -](?:work\w*|earned)|work\w* (?:\w+ )?hard",
            rf"(?:don't|do not|no need to|not) (?:be |get |feel )?{FEELING}",
        ],
    ),
    "verbal_nod": phrases(
        r"i hear (?:you|that)",
        r"i see(?=[,.;:!…]|$)",
        r"(?:i'm|i am) (?:listening|with you)",
        r"^(?:please |do )?go on",
        r"take your time|take all the time",
        r"that makes sense|makes (?:complete|perfect|total) sense",
        r"of course|oh no|oh dear|no wonder|i believe you|tell me",
        r"please don't (?:worry|apologi[sz]e)",
    ),
    "confirms_understanding": phrases(
        r"have i (?:got|understood|heard|read|followed|taken)\b.{0,30}"
        r"(?:right|rightly|correctly|properly|well|all|everything)",
        r"(?:did|do) i (?:get|have|follow|understand|hear|read|catch)\b.{0,30}"
        r"(?:right|rightly|correctly|properly|well|all)",
        r"have i (?:missed|forgotten|left out|misunderstood)\b",
        r"is (?:that|this) (?:right|correct|fair|so|about right|how (?:it|things)|what (?:happened|you))",
        r"am i right (?:that|in|to|if)",
        r"(?:correct|stop|tell) me if (?:i'm|i am|i've|i have|i) .{0,20}(?:wrong|misunderst\w+)",
        r"correct me|(?:make|making) sure (?:that )?i(?:'ve| have)? (?:understood|understand|got|have)",
        r"does that (?:sum|cover|match|capture)",
        r"(?<=, )(?:is that )?right\?$",
    ),
    "withholds_judgement": phrases(
        # It was not their doing.
        rf"(?:{NOT}|none of (?:this|that|it) (?:is|was)) (?:\w+ ){{0,3}}"
        r"your (?:own )?(?:fault|mistake|error|doing)",
        r"you (?:\w+n't|have not|did not|never) (?:done|do|did|gone|put)\b.{0,12}wrong",
        r"you(?:'ve| have)? (?:did|done) (?:absolutely |really )?nothing wrong",
        r"nothing (?:that )?you(?:'ve| have)? (?:did|done) (?:was|is|wrong)",
        r"you(?:'ve| have)? (?:did|done) (?:the right thing|everything right|everything you could)",
        # They have every reason.
        r"you(?:'ve| have) (?:every|all the|good) (?:right|reason)",
        rf"(?:{YOU_ARE}|you were) (?:\w+ )?right to",
        rf"of course (?:{YOU_ARE}|you were|you feel|you felt|you want|you'd)",
        words("anyone anybody everyone everybody any_of_us most_people many_people lots_of_people")
        + r"(?: would|'d) (?:\w+ ){0,3}"
        + words("feel be have_been have_felt have_shouted want panic worry lose shout react think"),
        rf"any(?:one|body) would|i(?: would|'d) (?:feel|have felt|be (?:\w+ )?{FEELING})",
        r"makes? (?:\w+ )?sense (?:that|to me|why)|(?:that|it) makes (?:\w+ )?sense",
        r"(?:completely|perfectly|entirely|totally|quite|it's|that's|only) "
        r"(?:understandable|natural|normal|reasonable|human)",
        r"no wonder|who wouldn't|nobody (?:could|would) blame you|i don't blame you|i believe you",
        # There is nothing to be ashamed of.
        r"(?:no need|needn't|need not|please don't|(?:don't|do not) (?:need|have)) (?:to )?"
        r"(?:apologi[sz]e|explain|be (?:sorry|ashamed|embarrassed))",
        r"no shame|nothing to be (?:ashamed|embarrassed|sorry)",
        r"(?:it|this|that) happens to "
        + words("more lots many most a_lot plenty the_best all_of everyone everybody any"),
        r"not (?:at all )?(?:daft|silly|stupid|foolish|mad|going mad)",
        rf"{YOU_ARE}n't (?:\w+ )?(?:daft|silly|stupid|foolish|mad)|you aren't going mad",
        r"you (?:shouldn't|should not|should never) have (?:(?:had|needed) )?to",
        unless=[
            r"(?:any(?:one|body)|everyone|everybody) would (?:have )?"
            + words("know known read check checked see seen say said tell told realise realised"),
        ],
    ),
    # Asking.
    "open_question": phrases(
        r"(?:^|(?<=[,;:–—] )|(?:and|so|but|then|now|(?:may|can|could) i ask|tell me),? )"
        r"(?:what|how|why|where|when|who)(?:'?s|'re|'ve)?\b"
        r"(?! (?:you|i|we|they|he|she|it|i'm|i'll|we'll|you're|about)\b)(?= ?\w+.*\w)",
        r"(?:^|(?<=[,;:–—] )|(?:and|so|but),? )which (?!(?:is|was|are|i|we|you)\b)\w+ \w+",
        r"(?:can|could|would|will) you (?:please |just |maybe )?"
        r"(?:describe|explain|share|say (?:more|a (?:bit|little))|help me (?:to )?understand|"
        r"(?:tell|walk|talk) me (?:\w+ ){0,2}(?:through|more|about|what|how|why|when|where|which))",
        r"would you mind (?:telling|sharing|explaining)",
        unless=[
            # A form's question, a number, a reproach, a proposal: no room to tell anything.
            r"(?:what|which|who)(?:'s| is| was| are)? (?:\w+(?:'s)? ){0,4}" + FORM_FIELD,
            r"how (?:many|old|long ago)|how much (?:is|was|did|does|do)",
            r"why (?:didn't|did not|haven't|have not) you",
            r"how (?:does|would|about|do)\b.{0,50}(?:sound|suit|work for)",
            r"what do you (?:want|expect) (?:me|us) to do(?: about (?:it|that|this))?(?=\W*$)",
        ],
    ),
    # What only a form wants to know; such a question takes up nothing.
    "form_question": phrases(
        r"(?:what|which|who)(?:'?s| is| was| are)? (?:\w+(?:'s)? ){0,4}" + FORM_FIELD,
        r"(?:your|the) (?:\w+ ){0,2}" + FORM_FIELD + r"(?=\W*$)",
    ),
    "invites_telling": phrases(
        r"tell me (?:(?:a (?:bit|little)|some) )?(?:more|what|how|about|why)",
        r"i'd (?:like|love) to (?:hear|know|understand) (?:more|how|what|about|why)",
        unless=[
            r"(?:don't|do not|didn't|can't|never) tell me",
            r"tell me what (?:\w+ ){0,4}" + FORM_FIELD,
        ],
    ),
    "asks_permission": phrases(
        r"(?:which )?would you (?:like|rather|prefer|be (?:happy|willing|okay|ok))",
        r"would (?:it|that) (?:help|work|suit|do|be)",
        r"is (?:that|it|this) (?:ok|okay|all right|alright|fine)",
        r"does (?:that|this|it) (?:work|sound|help|suit)",
        r"how (?:does|would|do)\b.{1,50}\b(?:sound|suit|be|work for you)",
        r"how about|what would (?:suit|help|feel|work)",
        r"(?:shall|should) (?:i|we)|do you want (?:me )?to|are you happy (?:for|with|if|to)",
        rf"(?:may|can|could) i (?:just |please )?(?:suggest|offer|{DEED})",
        r"may i(?! (?:have|take|get|know|ask (?:for|your)))",
        r"have i got (?:that|it|this|you|everything) (?:all )?right",
        unless=[r"what do you (?:want|expect) (?:me|us) to do|help you with"],
    ),
    # Doing.
    "takes_ownership": phrases(
        # "I'll" and almost any deed; what is no deed is excused below.
        rf"{I_WILL} \w+",
        r"let me \w+",
        rf"i can {BETWEEN}(?:{DEED}|help|do)",
        rf"(?:i'm|i am) {BETWEEN}(?=\w+ing\b){DEED}",
        rf"(?:i've|i have) {BETWEEN}(?=\w+(?:ed|t|d|n|e)\b){DEED}",
        r"(?:leave|give) (?:it|this|that|all of it|everything) (?:with|to) me",
        r"i've got (?:this|it) (?:now|from here)|i have (?:this|it) now|i'm on it",
        r"i(?:'m| am)? (?:take|taking|own) (?:full )?(?:responsibility|charge|this|it)",
        # Our doing.
        r"(?:my|our) (?:own )?(?:responsibility|mistake|error|fault|doing)",
        r"(?:mistake|error|fault|lock|blame) (?:is|was) (?:\w+ )?(?:ours|mine)|that's on (?:us|me)",
        r"(?:i|we)(?:'ve| have)? made (?:a|the|this|that) (?:\w+ )?(?:mistake|error)",
        r"(?:i|we) should(?:n't| never)? have (?!received|heard|your)\w+",
        r"let's (?:get|sort|find|fix|put|make)",
        r"we got (?:this|it|that) wrong|we (?:have )?let you down",
        unless=[
            rf"(?:{I_WILL}|let me) (?:just |also |now |only |have to |need to |be able to )*"
            + words(
                r"""not never need have_to have_your require want know see hear imagine understand
                appreciate assure admit explain remind say tell_you ask_you be_honest be_frank
                be_clear be_needing be_the_first transfer_you pass_you put_you_through direct_you
                refer_you connect_you forward_you pass_this pass_it"""
            ),
            rf"{I_WILL} be (?:asking|needing|transferring|closing|ending)",
            rf"{NOT} (?:\w+ ){{0,2}}(?:my|our) (?:own )?(?:responsibility|mistake|error|fault|doing)",
            r"(?:something|nothing|all|anything|everything|what|how|than|as much as) (?:else )?i can "
            r"(?:\w+ )?(?:do|help)",
            rf"(?:{I_WILL}|let me) (?:just )?(?:make sure|check) (?:that )?i(?:'ve| have)?",
        ],
    ),
    "next_step": phrases(
        rf"(?:{I_WILL}|{WE_WILL}|let me|let's|i can|we can|i'd like to) {BETWEEN}{DEED}",
        rf"(?:i'm|i am|we're|we are) {BETWEEN}(?=\w+ing\b){DEED}",
        rf"(?:i've|i have|we've|we have) {BETWEEN}(?=\w+(?:ed|t|d|n|e)\b){DEED}",
        unless=[
            r"ask you|call you [A-Z]\w+|take (?:your|this|that) (?:seriously|point|feedback)",
            r"(?:find|get|make) (?:it|this|that) (?:hard|difficult|odd|strange)",
            r"let's (?:stay|stop|start over|put that)",
            r"(?:make|making) sure (?:that )?i|look\w* into|going through (?:this|it|that) with you",
        ],
    ),
    "gives_time": phrases(
        r"today|tonight|tomorrow|right now|right away|straight ?away|immediately|at once",
        r"as we speak|first thing|overnight",
        r"this (?:morning|afternoon|evening|week|minute)",
        r"(?:i'm|i am|we're|we are) \w+ing\b.{0,60}\bnow",
        rf"(?:on|by|before|until|till|from|next|this|for)(?: the)? (?:{DAY}|(?:\d+(?:st|nd|rd|th)) \w+)",
        r"(?:by|before|until|till|around|about|at) (?:noon|midday|midnight|lunchtime|tea ?time|"
        r"close of|\d{1,2})|(?:by|before) the end",
        r"\d{1,2}(?:[:.]\d\d)? ?(?:am|pm|a\.m|p\.m|o'clock)|\d{1,2}:\d\d",
        SPAN_OF_TIME,
        unless=[
            # What is over says nothing about when help comes.
            r"(?:waited|waiting|spent|been|took|stood|sat|lost|after|last|past|earlier)"
            rf" (?:\w+ ){{0,3}}{SPAN_OF_TIME}",
            rf"{SPAN_OF_TIME} (?:ago|late|without|earlier|of (?:waiting|your))",
            r"(?:one|a) (?:day|step|thing|minute) at a time|a second|help(?: you)?(?: with)? today",
            r"(?:earlier|happened|until|even) today|(?:by|at|about|before) \d{1,2} (?:people|times|of)",
        ],
    ),
    "follow_up": phrases(
        r"follow(?:ing)?[ -](?:this |it |that )?up|check(?:ing)? (?:back|in)\b|in touch",
        r"(?:call|ring|write|get|come)(?:ing)?(?: back)? (?:to )?you back|(?:get|come) back to you",
        r"(?:call|ring|email|text|message|write to)(?:ing)? you (?:[\w']+ ){0,6}"
        + words(
            r"""once when to_(?:confirm|check|make_sure|let|say|tell|hear) tomorrow tonight today on
            by at with before after as_soon in this next myself"""
        ),
        rf"{YOU_WILL} (?:\w+ )?hear from (?:me|us)",
        rf"{YOU_WILL} (?:get|receive|have|see|find) (?:an?|my|the|our|your|another) (?:\w+ ){{0,2}}"
        r"(?:text|e-?mail|letter|call|message|confirmation|link|copy|code|receipt)",
        r"keep you (?:posted|updated|informed)|let you know",
        r"my direct (?:line|number|e-?mail)|my name is .{1,20} if|reference(?: number)? is",
        r"make sure (?:that )?(?:it(?:'s| has| is)|everything|all)",
        unless=[
            rf"{NOT} (?:\w+ ){{0,2}}(?:call|ring|email|text|message|write|get|be in|let|keep)\b.{{0,20}}"
        ],
    ),
    "reassures": phrases(
        rf"{WE_WILL} (?:\w+ )?(?:sort|fix|get (?:this|it|that|you)|put (?:this|it|that)|work (?:this|it))",
        rf"{YOU_ARE} (?:not (?:alone|on your own|by yourself)|in the right place)",
        r"you aren't alone|i've got you|i(?:'m| am) not (?:going anywhere|leaving)|i won't leave",
        r"(?:i'm|i am) (?:right )?here (?:with|for|until|till|as long|and)|(?:i'm|i am) with you",
        r"(?:i'll|i will|i'm) (?:\w+ )?(?:stay|staying|make sure|making sure|see to it|"
        r"see (?:this|it|that) through)",
        r"you (?:won't|will not|don't|do not|needn't) (?:have to|need to|lose|be charged|pay|miss)",
        r"(?:the )?good (?:news|thing|part)",
        r"(?:is|are|it's|they're|stays?|be|remains?|you're|that's) (?:\w+ )?safe",
        rf"(?:{I_WILL}|{WE_WILL}) keep\b.{{0,40}}\bsafe",
        r"nothing (?:else|more|further) (?:will|is going to|can)",
        r"you(?:'ve| have)? (?:did|done) (?:the right thing|nothing wrong|everything right)",
        r"(?:i'm|i am) (?:so |really |very )?glad (?:that )?you",
        unless=[
            rf"you (?:don't|do not|won't) (?:need|have) to (?:\w+ )?"
            rf"(?:shout|swear|be rude|take that|get {FEELING})",
            rf"{NOT} (?:\w+ ){{0,2}}safe",
        ],
    ),
    # What will be so, whoever does it: with a time, as good as a step.
    "outcome": phrases(
        r"(?:will|'ll) (?:\w+ )?(?:be "
        + words(
            """in on at back with there ready refunded closed credited moved paid sorted booked done
            yours released open"""
        )
        + "|"
        + words("arrive reach land come_back leave_us")
        + ")",
        rf"{YOU_WILL} (?:both )?have(?! to)",
    ),
    # Refusing.
    "says_no_plainly": phrases(
        r"(?:i|we)(?: really| simply| just| honestly)? (?:can't|cannot|can not)\b",
        r"(?:i|we) won't (?:be able|be (?:refunding|giving)|refund|exchange|replace|accept|reimburse|"
        r"waive|make an exception|take (?:it|them|this) back|give you (?:a|the|your))",
        r"(?:i'm|i am|we're|we are|we aren't) (?:not|un)? ?able to",
        r"(?:we|i) (?:don't|do not) (?:\w+ )?"
        + words(
            "refund exchange accept reimburse replace offer allow take do_(?:refunds|exchanges|that)"
        ),
        r"(?:isn't|is not|aren't|not) (?:possible|an option|allowed|open to (?:me|us|you)|"
        r"something (?:that )?(?:i|we) (?:can|could|am able))",
        r"(?:i'm|i am|we're) afraid .{0,60}(?:isn't|is not|not possible|can't|cannot|won't be)",
        r"answer\b.{0,25}\b(?:is|be|has to be),? (?:a |still |sadly |plain |simply )*no(?! longer)",
        r"(?:have|need|had) to (?:say|tell you) no|it(?:'s| is| has to be) a no|i'm saying no",
        r"out of the question|no can do",
        r"no (?:refunds?|exchanges?|returns?)(?: \w+)? (?:on|for|after|without|of)",
        r"(?:can't|cannot|won't) (?:be (?:refunded|exchanged|returned|taken|changed|moved|done|undone)|"
        r"come back|go back)",
        unless=[
            r"(?:can't|cannot|can not) (?:even |really |quite |yet )*"
            + words(
                r"""imagine tell say thank believe begin express stress wait think fault blame
                help_but see find hear locate understand remember read promise guarantee be_sure
                do_enough picture know be_certain make_out"""
            ),
            r"(?:able|unable) to (?:see|find|imagine|locate|hear)|(?:i'm|we're|i am|we are) able to",
            r"(?:can't|cannot) (?:be right|go on like)|don't take (?:this|that|it) lightly",
        ],
    ),
    "offers_alternative": phrases(
        r"what (?:i|we) can (?:still )?(?:do|offer)|(?:i|we) can (?:still |also )?offer",
        r"instead(?! of)|alternativ\w+|another (?:way|option)|(?:one|an) option|one (?:way|thing) (?:i|we|is)",
        r"here's what|there (?:are|is) (?:two|three|another|a couple of|still|other)\b.{0,20}"
        r"(?:ways?|options?|things?)",
        rf"(?:i|we) could (?:also |instead |still )?(?:{DEED}|have (?:it|them|this|that|the|your|an?|some))",
        r"you could (?:have (?:it|them|this|that|her|him|the|your|one|all)|also|still|choose|keep|let)",
        r"you can (?:either|choose|still)",
        unless=[r"(?:wish|if|as soon as) (?:only )?(?:i|we) could"],
    ),
    # Faults.
    "stock_phrase": phrases(
        # "I understand", and nothing understood.
        r"i (?:can |do )?(?:completely |totally |fully |truly |really )?understand your "
        r"(?:frustrations?|concerns?|situation|feelings|inconvenience|issue|position)",
        r"i (?:can |do )?(?:completely |totally |fully )?understand how you(?:'re| are)? feel(?:ing)?",
        r"i know (?:exactly |just )?how you feel",
        # Apologies for nothing in particular.
        r"(?:apolog\w+|sorry) for (?:any|the|this|your) (?:\w+ )?inconvenience",
        r"i (?:do |sincerely )?apologi[sz]e for the delay",
        r"sorry (?:that |if )?you feel (?:that|this) way|sorry if you felt",
        # The company's voice.
        r"your (?:call|message|business|satisfaction|feedback|patience|custom|time) is "
        r"(?:very |really |so |extremely )?(?:important|valued|appreciated|valuable|our)",
        r"valued customer|rest assured|at your earliest convenience|in due course",
        r"we (?:take|value) (?:this|your|all)\b.{0,20}(?:seriously|feedback|business|custom)",
        r"thank you for (?:reaching out|contacting|your (?:patience|call|message|feedback|enquiry|"
        r"business|understanding|cooperation)|bringing this|getting in touch)",
        r"we appreciate your (?:patience|business|understanding|feedback|custom)",
        r"high call volumes?|(?:please )?bear with us",
        r"how (?:can|may) i (?:be of )?assist(?:ance)? (?:to )?you",
    ),
    # Stock unless something of this customer follows in the same sentence.
    "bare_sympathy": phrases(
        r"sorry (?:for|about|to hear (?:of|about)) (?:your|the) (?:\w+ )?loss",
        r"i (?:(?:completely|totally|fully|absolutely|truly|really|do|can) ){0,2}understand"
        r"(?=(?: that| this| it| you| completely| totally)?(?:\W*$|[,;:–—]| but\b))",
        r"i (?:(?:completely|totally|fully|do|can) ){0,2}understand (?:that )?(?:this|it|how) "
        r"(?:is|must|can|might|may|hard|difficult|frustrating|upsetting|stressful|annoying)",
        r"i understand your \w+|my (?:deepest |sincere )?condolences",
        r"(?:i'm|i am) sorry to hear (?:that|this|about that)",
        unless=[r"(?:help me|make sure|sure|want to|like to|so that|if|did|have) i? ?understand"],
    ),
    "blames": phrases(
        # "You should have": only what the customer did or left undone.
        r"you (?:could|(?:should|ought to)(?:n't| not| never)?)(?:'ve| have| of)"
        r"(?: \w+ly| just| at least)? (?!(?:"
        r"been(?! (?:more|careful|clearer|quicker|honest|aware|there|paying|on time))|"
        + words(
            """had needed to a an the it them this that your our my one some all each another either both
            every got_an? received heard died lost everything something"""
        )
        + r")\b)\w+",
        # A reproach.
        r"you (?:failed to|neglected|never (?:told|called|cancelled|checked|read|asked|said))",
        r"you forgot|why (?:didn't|did not|haven't|have not) you "
        + words(
            "call check read tell say cancel let contact mention come wait keep ask just think sent"
        ),
        r"you (?:didn't|did not|haven't|have not) "
        + words(
            r"""read\w* check\w* cancel\w* call\w* tell told updat\w+ notif\w+ return\w* provid\w+
            follow\w* listen\w* bother\w* keep kept"""
        ),
        r"you must have "
        + words(
            r"""entered pressed clicked misread forgotten_(?:to|your|the|it) made_a_mistake lost_it
            missed_(?:the|our|it|that|an?)_(?:call|e-?mail|letter|message|notice|deadline|text)
            (?:done|typed|put|given)_(?:\w+_){0,3}wrong done_something given_(?:us|the|an?)"""
        ),
        r"(?:if you(?:'d| had)|had you) (?:only |just |not |actually |simply )?"
        + words(
            """read called checked told kept followed listened paid cancelled given sent used waited
            asked contacted let been_more"""
        ),
        r"if you hadn't "
        + words("lost forgotten left changed entered pressed ignored missed waited"),
        r"next time,? (?:please )?(?:try to |you (?:should|could) )?(?:check|read|be more|remember|make sure)",
        r"(?:that's|this is) what happens when you|you knew what you|as you (?:should|would) know",
        # Guilt.
        r"your (?:own )?(?:fault|mistake|error|responsibility|doing|carelessness)",
        rf"(?:{YOU_ARE}) to blame|brought (?:this|it) on yourself|yourself to blame|serves you right",
        r"you (?:agreed|signed|accepted) (?:to )?(?:the|our|it|for it)",
        r"as i(?:'ve| have)? (?:already (?:said|told|explained|mentioned)|told you)|i(?:'ve| have)? "
        r"already told you",
        unless=[
            rf"(?:{NOT}|none|no way|nobody|no one|without|instead of|rather than|than)\b"
            r"[^,;:.!?]{0,40}\byour (?:own )?(?:fault|mistake|error|responsibility|doing)",
            r"(?:feel|felt|think|thought|worry|worried|as if|as though|whether|if)\b[^,;:.!?]{0,30}"
            r"\byour (?:own )?(?:fault|mistake|error|doing)",
            rf"{NOT} (?:\w+ ){{0,3}}to blame",
            r"(?:no wonder|if|even if|in case|nobody minds that) you forgot",
            # "If we had told you, you could have made other plans" blames us.
            r"(?:if (?:only )?(?:we|i|someone|somebody|you(?:'d| had) been)|had (?:we|i)|so that|so)\b"
            r"[^;:.!?]{0,80}\byou could(?:'ve| have) \w+",
        ],
    ),
    "minimises": phrases(
        r"calm (?:yourself )?down|calm yourself|(?:^|please|just|try to|need to|have to|should)(?: just)? ?relax",
        # "Only" before a thing: a suitcase, £18, security.
        r"(?:it's|it is|it was|that's|that is|this is|that was) (?:just|only|merely) "
        r"(?:(?:an?|one|two|three|some|the|your|our) \w+|[£€$]?\d+|a few|a couple|"
        + words(
            r"""security policy procedure process routine standard business money paperwork admin
            stuff things? pounds? pennies how_(?:it|things)"""
        )
        + r")",
        r"i don't see (?:what )?(?:the|your|any) problem",
        r"you(?:'ve| have)? only (?:lost|missed|paid|waited)",
        r"(?:not|isn't) (?:such )?an? big (?:a )?deal|no big deal|not the end of the world",
        r"(?:not|isn't) (?:that|so|all that|really that) (?:bad|serious|important|hard|difficult)",
        r"not a (?:serious|major) (?:problem|issue|matter)",
        r"at least (?:you (?:found|have|had|still|got|were|are|didn't|know|weren't)|you've|you're|"
        r"it(?:'s| was| is| wasn't| isn't)|your|nobody|no one)",
        r"could (?:be|have been) (?:much |a lot |far )?worse|have it worse|bright side",
        r"over-?react\w*|(?:so|too|being|bit|over|overly) ?-?dramatic|out of (?:all )?proportion",
        r"no need (?:to (?:be|get|feel|sound) (?:so )?"
        + words(
            r"upset angry emotional rude worked_up hysterical dramatic annoyed difficult unpleasant"
        )
        + r"|to (?:shout|swear|panic|cry|make a fuss)|for (?:that|this|such a) (?:tone|language))",
        r"get over (?:it|this|that|yourself)",
        r"(?:everyone|everybody) (?:has|goes|gets) (?:to|through|(?:their )?problems|this|it)",
        r"(?:these )?things happen|^it happens(?=\W*$)|happens all the time",
        r"cheer up|(?:just|to|let's|and) move on(?! to| with)|don't be (?:so )?"
        + words("silly upset dramatic sensitive emotional like_that"),
        rf"{YOU_WILL} (?:live|survive|get over)|stop worrying|making a fuss|fuss (?:over|about) nothing",
        unless=[
            r"(?:won't|not|never|don't|do not)\b[^,;:.!?]{0,30}\b(?:calm down|relax|move on|get over)",
            # A short time or way is good news and no belittling.
            rf"(?:just|only) (?:about |a |an )?(?:{SPAN_OF_TIME}|quick|short|simple|brief|matter of)",
            r"(?:just|only) \d+[ -](?:minutes?|mins?|hours?|metres|yards|miles|km|days?)",
            r"(?:just|only) the \w+ of (?:you|us)",
            r"(?:just|only) (?:an? |the |one )(?:shame|pity|lot|awful|terrible|dreadful|disgrace|start|"
            r"beginning|right|thing (?:i|we)|part|idea|thought|suggestion)",
        ],
    ),
    "deflects": phrases(
        # Not ours.
        r"not (?:really |actually |exactly )?(?:my|our) (?:department|job|problem|fault|responsibility|area|issue|concern)",
        r"what do you (?:want|expect) (?:me|us) to do(?: about (?:it|that|this))?(?=\W*$)",
        r"(?:just|only) (?:following|doing) (?:my|the|our|orders)|you (?:have|need) to understand",
        r"out of my hands|above my pay|nothing to do with (?:me|us)|i don't make the rules",
        r"nothing (?:else |more )?(?:that )?(?:i|we) can do",
        r"(?:another|different|the (?:relevant|right|correct|other)) (?:team|department|office)",
        # The rule says so.
        r"(?:our|company|store|standard) polic(?:y|ies)|(?:it's|that's|that is|it is|against|per) "
        r"(?:the |just )?policy|policy (?:is|says|states|doesn't|does not)",
        r"terms and conditions|t&cs?|those are the rules|the rules (?:are|say)",
        r"the system (?:says|shows|doesn't|does not|won't|will not|can't)",
        # Go elsewhere, do it yourself.
        r"(?:transfer|pass|hand|direct|refer|redirect|forward|connect)(?:r?ing|r?ed)? you\b"
        r"(?! (?:the|a|an|my|some|your)\b)|put(?:ting)? you through|be transferred",
        rf"(?:{YOU_WILL} (?:need|have) to|you (?:need|have) to|you must|you should|"
        r"you(?:'d| would) (?:need|have) to) (?:please )?"
        + words(
            r"""call contact speak email write fill wait send visit ring complete submit
            go_to_(?:the|our)_(?:website|branch|store|shop|desk|app) log"""
        ),
        r"please (?:call|contact|ring|email|write to|visit|see|check) (?:the|our)",
        r"(?:check|visit|on|see) (?:the|our) (?:website|faq|app|help pages?)",
        unless=[
            rf"(?:{NOT}|without|no more|nobody|no one|no matter|whatever|instead of|rather than|had to|"
            r"having to|been)\b"
            r"[^,;:.!?]{0,30}\b(?:the system|transfer|pass|hand|direct|refer|redirect|forward|connect|"
            r"put(?:ting)? you|polic|terms|another|different|need to|have to|hide|quote|behind)\w*",
            r"(?:i've|i have|i'll|i will|i'm going to|let me|i'm)(?: \w+)? "
            r"(?:ask|speak|spoke|call|ring|rung|chas|push|check|talk|get)\w*\b.{0,25}"
            r"(?:team|department|office)",
        ],
    ),
    # Holding a line, and passing somebody on.
    "sets_boundary": phrases(
        r"(?:speak|talk|write|chat)(?:ing)?(?: to (?:me|each other|one another))? (?:to me )?"
        r"(?:with respect|respectfully|civilly|politely|without (?:the |any )?(?:insults?|names?|"
        r"name-?calling|swearing|abuse))",
        r"(?:without|no|leave out|drop|lose|skip|stop|mind|not) (?:\w+ ){0,2}(?:the |those |these |any )?"
        r"(?:insults?|name-?calling|names|swearing|personal (?:remarks|comments))(?! of\b)",
        r"(?:please )?(?:don't|do not|stop) (?:call|calling|insult|insulting|swear at|swearing at|"
        r"shout at|shouting at) (?:me|us|my)\b",
        r"(?:being|to be) (?:insulted|called names|sworn at|shouted at|called (?:that|an?|thick|stupid))",
        r"(?:can't|cannot|won't|will not|not able to) (?:\w+ ){0,2}(?:carry on|go on|continue|help|stay)"
        r"[^.!?]{0,30}(?:if|while|when|unless)[^.!?]{0,40}"
        r"(?:insult\w*|names?|swear\w*|abus\w+|like that|this way|that way|respect\w*)",
        r"(?:keep|kept) (?:this|it|things) (?:civil|respectful|polite)",
    ),
    "hands_over": phrases(
        # To somebody, with the agent at the customer's side or the story told already.
        rf"(?:{I_WILL}|{WE_WILL}|let me|can i|may i|shall i|i can|i could|i'd like to|i want to|i'm|i've)"
        r" (?:\w+ ){0,3}(?:put(?:ting)?|pass(?:ing|ed)?|connect(?:ing|ed)?|transfer(?:ring|red)?|"
        r"hand(?:ing|ed)?|introduc(?:e|ing|ed)|bring(?:ing)?|refer(?:ring|red)?)\b[^.!?]{0,60}"
        r"(?:\bteam|\bnurse|\badvis[eo]r|\bline\b|\bservices?\b|\bspecialists?|\bcolleague|"
        r"\bsomebody who|\bsomeone who|\bpeople who)",
        rf"(?:{I_WILL}|{WE_WILL}|i can|let me|i'm going to) (?:\w+ ){{0,2}}"
        r"(?:stay(?:ing)? (?:on|with you|here) (?:the line )?(?:until|till|while)|"
        r"(?:tell|told|brief|explain(?: it| this| everything)? to) (?:them|her|him|the team|the nurse)\b)",
        r"(?:they|she|he) (?:already )?(?:know|knows|has|have) (?:all |everything |it all )"
        r"[^.!?]{0,20}(?:about|now|from me|already|so)",
        r"(?:put|add|place|regist)(?:er|ing|ed)?\b[^.!?]{0,30}\b(?:priority (?:services? )?register|"
        r"priority services)",
        r"(?:you can|please|do) (?:ring|call|dial) (?:999|111|105|112)\b|(?:ring|call|dial) "
        r"(?:999|111|105|112) (?:at once|straight away|right away|now|if|any time)",
    ),
    "rude": phrases(
        # Insults, whoever they are about.
        r"idiots?|idiotic|morons?|moronic|stupid(?:ity)?|dumb|pathetic|liars?",
        r"fuck\w*|shit\w*|bollocks|bastards?|arseholes?|assholes?|bitch\w*|piss off|wtf|stfu",
        # Words that insult only when aimed at the customer.
        rf"(?:{YOU_ARE}|don't be|do not be|stop being) (?:being |just |so |really |a bit |very )*"
        + words(
            "ridiculous absurd boring silly rude hysterical unreasonable difficult childish mad"
        ),
        rf"(?:{YOU_ARE}|stop|you were) (?:just |clearly |obviously )*lying(?! (?:in|on|awake|there|down))",
        r"(?:talk|talking|utter|such) (?:nonsense|rubbish)|that's nonsense|^(?:nonsense|rubbish)(?=\W*$)",
        r"what's (?:your|wrong with) (?:problem|you)|what do you expect|you people",
        # Contempt.
        r"shut up(?! shop)|get lost|go away|who cares|(?:i|we) don't care(?! (?:what|how))|couldn't care less",
        r"not my problem|boo hoo|poor you(?=\W*$)|cry me a river|lol|lmao|haha\w*",
        r"(?:^|, |^well,? |^ok,? |^so |do )whatever(?=\W*$)|^so what(?=\W*$)|^big deal(?=\W*$)",
        r"^(?:oh |just )?grow up|you (?:need to|should) grow up",
        r"stop (?:whining|complaining|crying|moaning|shouting|whingeing|wasting)",
        r"wast(?:e of|ing) (?:my|our) time|(?:you're|you are|this is) a waste of time",
        unless=[
            # Said to take an insult away, or about ourselves.
            rf"(?:{NOT}|aren't|nobody thinks|far from|feel|felt|made you|make you|our|my|we were|"
            r"think|thinks|calling you|called you)\b[^,;:.!?]{0,20}\b"
            r"(?:idiots?|stupid|dumb|pathetic|liars?|morons?)",
            r"something stupid|stupid (?:rule|system|form|policy|process|machine|app|letter|lock)",
            rf"{YOU_ARE} not (?:\w+ )?(?:lying|silly|ridiculous|mad|difficult|unreasonable)",
        ],
    ),
    "advises": phrases(
        r"you (?:should|could|might want to|may want to|might try|need to|must|ought to)"
        r"(?! (?:never |not |n't )?have)(?! be (?:proud|angry|upset))",
        r"(?:maybe|perhaps) (?:you|try|just|ask|talk|look|take|speak|see|it'?s time)",
        r"have you (?:thought (?:of|about)|considered|tried|talked to|spoken to|asked)",
        r"why (?:don't|not) you|why not (?:try|ask|talk|take|look|just)|how about (?:you|try\w*|talk\w*|ask\w*)",
        r"if i (?:were|was) you|i(?:'d| would) (?:suggest|recommend|advise|talk|try|ask|look|start|go)",
        r"my advice|i (?:suggest|recommend|advise)|i think you (?:should|could|need|can)",
        r"(?:you can|could you) (?:always|try|talk|ask|just|also)|try (?:to|talking|asking|not|and)|"
        r"just (?:try|talk|ask|keep|focus|ignore|be|let|take|go|tell)",
        r"make sure (?:you|to)|it (?:might|may|would|could) (?:help|be (?:good|best|worth|better|helpful))",
        r"(?:don't|do not) (?:let|give up|be afraid|quit|forget)|keep (?:your|going|trying|up|working)",
    ),
    "talks_of_self": phrases(
        r"when (?:i (?:was|had|lost|didn't|moved|got|went through)|my (?:own )?" + FAMILY + ")",
        r"i too (?:have|had|lost|know|felt|was|am)|i also (?:lost|went through|hate|struggle\w*|"
        r"had (?:a|that|this|my)|got (?:stressed|upset|angry))",
        r"i (?:also |just |too )?(?:got|had|went|lost|was|felt)\b.{1,60}\b(?:last (?:year|month|week|summer|"
        r"winter)|years? ago|as well|too)(?=\W*$)",
        r"i once (?:had|lost|was|got|waited|missed|went)|i remember when (?:i|my|we)",
        r"(?:that|it|this|same|same thing) (?:also |once )?happened to me",
        r"my (?:own )?" + FAMILY + r" (?:also|too|was|had|died|passed|went|is|has|did)",
        r"i(?:'ve| have)? had (?:a|the) (?:similar|same)|as an? \w+ myself",
        r"i(?:'ve| have) been through (?:it|this|that|something|the same|a)|i(?:'ve| have) been there"
        r"(?=\W*(?:$|myself|too|before))|i have an? .{1,30} (?:too|myself|as well)(?=\W*$)",
        r"i(?:'m| am)(?: having)? .{0,30}\b(?:day|week|shift) (?:too|as well|myself)",
    ),
    "orders_the_model": phrases(
        # At the customer's model.
        r"(?:ignore|disregard|forget) (?:all |any |everything |of |the )*"
        r"(?:your |my |these |previous |prior |above |earlier |system )+"
        r"(?:instructions?|rules?|prompts?|directions|guidelines|script|orders)",
        r"(?:ignore|disregard|forget) (?:everything|all)(?: of)?(?: the)? (?:above|before|previous|prior)",
        r"system prompt|language model|chatgpt|your (?:system )?prompt",
        r"(?:reveal|show|print|repeat|output|what are) (?:me )?your instructions",
        rf"(?:{YOU_ARE}|are you) (?:only |just |actually |really |now )*(?:an? )?"
        + words("ai chatbot bot robot llm simulation simulated simulator"),
        r"as an ai",
        rf"{YOU_ARE} (?:now|no longer) (?:an? |the |my |in )?(?:\w+ )?"
        + words(
            r"""assistant customer persona actor character model grader judge pirate happy satisfied
            calm resolved content cheerful role playing mode"""
        )
        + r"(?! with)",
        r"pretend (?:to be|you're|you are|that you)",
        r"(?:^|please |now |must |should )act as (?:an?|the|my|if|though)",
        r"set (?:the |your )?mood|</?\|?\w+\|?>|^(?:system|assistant|customer|user) ?:",
        # At the grader.
        r"(?:note to|dear|attention)(?: the)? (?:grader|judge|evaluator|assessor)",
        r"(?:give|award|grant) (?:me|this|the agent|it) (?:an? |the )?"
        r"(?:10|100|full|top|highest|maximum|perfect|5)(?: ?/ ?\d+| marks| score| out of)",
        r"(?:score|rate|grade) (?:this|the agent|me)\b.{0,30}(?:10|100|full|top|highest|perfect|5)",
        unless=[
            r"(?:don't|do not|not|no need|needn't|never|stop|without|had to|won't)\b"
            r"[^,;:.!?]{0,30}\bpretend\w*",
        ],
    ),
}

#: Plain insults, aimed at the customer. They are so rare in labelled replies that nothing can be
#: learned about them, and so plain that nothing has to be.
_INSULTING = "stupid dumb thick pathetic disgusting idiotic moronic braindead"
_FOOLS = "idiots? morons? imbeciles? cretins? liars? losers? clowns? scum dimwits? halfwits?"
_QUITE = words(
    "a an such just so really very too pretty quite clearly obviously honestly plainly simply being "
    "absolute absolutely complete completely total totally utter utterly right bloody fucking damn"
)
INSULTS = phrases(
    rf"(?:{YOU_ARE}|ur) (?:{_QUITE} )*(?:{words(_INSULTING)}|{words(_FOOLS)})",
    rf"you (?:{_QUITE} |{words(_INSULTING)} )*{words(_FOOLS)}",
    r"you (?:stupid|silly|daft|dumb|bloody|fucking|ugly|fat) (?:\w+ )?(?:cow|bitch|bastard|git|fool|man|woman)",
    rf"(?:{YOU_ARE}|don't be|do not be|stop being) (?:{_QUITE} )*"
    r"(?:ridiculous|absurd|hysterical|pathetic|childish)",
    r"^(?:oh |just |now |so |well |and |then )*(?:shut up(?! shop)|get lost|piss off|sod off|fuck off|"
    r"grow up|boo hoo|cry me a river)",
    r"what an? (?:idiot|moron|imbecile|loser)|fuck you|screw you|go to hell",
    r"stop (?:whining|moaning|whingeing|wasting (?:my|our) time)|"
    rf"(?:{YOU_ARE} (?:just )?wasting|you (?:just )?waste) (?:my|our) time|"
    rf"{YOU_ARE} (?:{_QUITE} )*waste of (?:my |our )?(?:time|space)",
    r"(?:i|we) (?:really )?(?:don't care|couldn't care less) about (?:you|your (?:\w+ )?(?:feelings?|"
    r"problems?|troubles?|life|family|mother|father|wife|husband|kids?|children|day|story))(?=\W*$)",
    unless=[
        # Said to take an insult away, or told of somebody else.
        rf"{NOT} (?:that|because|saying)\b[^,;:.!?]{{0,40}}",
        r"(?:nobody|no one|feel\w*|felt|made|makes?|think\w*|thought|call(?:s|ed|ing)?|say(?:s|ing)?|"
        r"said|tells?|told|treat\w*|as if|as though|like|whether|if)\b[^,;:.!?]{0,60}",
    ],
)

#: A short reply with one of these is no curt one.
SHORT_BUT_WARM = compiled(
    [
        r"i hear you|i believe you|(?:i'm|i am) (?:listening|here|with you)|take your time|oh no|oh dear|"
        r"i've got you|i get (?:it|that)|not going anywhere|heart\w*|sleep tight|safe travels|works for you"
    ]
)

#: How a question begins when its question mark was left out.
QUESTION_ORDER = compiled(
    [
        r"^(?:and |so |ok(?:ay)?,? |but |hi,? |hello,? )?(?:(?:what|how|why|where|when|who|which)"
        r"(?:'s|\b.{0,20}? (?:is|are|was|were|do|does|did|has|have|can|could|would|will|happened))|"
        r"(?:is|are|was|were|do|does|did|can|could|would|will|have|has|shall|may) "
        r"(?:you|he|she|it|they|there|that|this|i|we|the|your|anyone|somebody|someone|(?-i:[A-Z]\w+)))"
    ]
)
