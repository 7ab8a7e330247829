"""What is written in a persona: lines, samples, questions, and what they tell too early."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from warmline.customer.guard import SOUNDS_CONTENT, repeats, sounds_content, wrong_speaker
from warmline.detectors import content_words
from warmline.hearing import Hearing
from warmline.lint.found import Advice, listed
from warmline.persona import Fact, Persona

#: A text that shares this part of a hidden fact's words, and at least so many, gives it away.
TELLS, LEAST_SHARED = 0.6, 3
#: A mood needs one line of so many words or fewer: in a chat nobody speaks in paragraphs.
SHORT_LINE = 20
#: Surer than the guard has to be, which only costs another draw: of the lines that come with
#: Warmline none is as likely as this to be an agent's or a machine's.
SURELY_AGENT, SURELY_MACHINE = 0.8, 0.9

#: Stems that agents ask anybody about, whatever was said.
_ASKED_OF_ANYBODY = frozenset(
    content_words(
        "family home house live living alone anyone anybody somebody someone else children kids "
        "partner husband wife mother father work job money afford cost health well ill sleep eat "
        "help happen happened feel feeling worry worried worries hardest important matter matters "
        "need needs hope plan plans today tomorrow tonight week time day reason trip date deadline "
        "name remember tell mean means before first last long friend friends neighbour people"
    )
)

#: What the guard's reasons mean for a line that a person wrote.
_SOUNDS = {
    "markup": "this looks like markup, which nobody types in a chat; write plain words",
    "speaker label": "this begins like a speaker's label; write only what the customer says",
    "stage direction": "this describes the customer; write only what the customer types",
    "speaks as a machine": "this sounds like a machine; say it as a person would",
    "speaks as the agent": "this sounds like an agent; say it as a customer would",
    "another language": "this has letters of another script than the persona's language",
}


def ill_written(persona: Persona, hearing: Hearing) -> Iterator[Advice]:
    """Texts that do not do what they are there for."""
    yield from _lines(persona, hearing)
    for rule in (_alike, _long, _told_by_texts, _samples, _questions):
        yield from rule(persona)


def _questions(persona: Persona) -> Iterator[Advice]:
    """Facts that wait for a question nobody would think of."""
    hidden = {fact.id for fact in persona.facts if fact.reveal in ("when_heard", "never")}
    for index, fact in enumerate(persona.facts):
        if fact.reveal != "when_asked":
            continue
        known = {
            stem
            for path, text in persona.texts()
            if path[:1] != ("samples",)
            and path[:2] != ("facts", index)
            # What the agent is never told by itself leads to nothing.
            and not (
                path[0] == "facts"
                and isinstance(path[1], int)
                and persona.facts[path[1]].id in hidden
            )
            and path[0] not in ("voice", "story", "wants")
            for stem in content_words(text)
        }
        asked = [set(content_words(word)) for word in fact.asked_about]
        if not any(not words or words & (known | _ASKED_OF_ANYBODY) for words in asked):
            words = listed(f"“{word}”" for word in fact.asked_about[:4])
            yield Advice(
                ("facts", index, "asked_about"),
                f"nothing in the brief or in what the customer says leads an agent to ask about "
                f"{words}; add words that an agent would use, or a hint that leads there",
            )


def _spoken(persona: Persona) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Everything that the customer says, and where it stands."""
    for path, text in persona.texts():
        said = path[0] == "opening" or path[-1] in ("says", "line", "customer")
        if said or path[0] == "reactions" or (path[0] == "ladder" and path[2] == "lines"):
            yield path, text


def _lines(persona: Persona, hearing: Hearing) -> Iterator[Advice]:
    """Lines that are not a customer's, or not yet one's who is content."""
    voice = hearing.voice(persona.language)
    for path, text in _spoken(persona):
        plain = _straight(text)
        voices = voice(plain) if voice else {}
        rank = _rank_of(persona, path)
        wrong = wrong_speaker(plain, persona.name, persona.language) or _heard_as(voices)
        if wrong:
            yield Advice(path, _SOUNDS[wrong])
        elif (
            rank is not None
            and rank < len(persona.ladder) - 2
            and (sounds_content(plain) or voices.get("content", 0.0) >= SOUNDS_CONTENT)
        ):
            yield Advice(
                path,
                f"at {persona.moods[rank]!r} the customer has not forgiven anything yet, and this "
                "thanks or forgives; keep it for a better mood",
            )


def _heard_as(voices: Mapping[str, float]) -> str | None:
    """Whose voice a line is, where it is surely not a customer's; as the guard says it."""
    if voices and voices["machine"] >= SURELY_MACHINE:
        return "speaks as a machine"
    if voices and voices["agent"] - voices["customer"] >= SURELY_AGENT:
        return "speaks as the agent"
    return None


def _straight(text: str) -> str:
    return text.replace("’", "'").replace("‘", "'").strip()


def _rank_of(persona: Persona, path: tuple[str | int, ...]) -> int | None:
    """Where the customer stands who says the line at a path; None where it can be anywhere."""
    if path[0] == "opening":
        return persona.rank(persona.start)
    if path[0] == "ladder" and isinstance(path[1], int):
        return path[1]
    if path[0] == "reactions" and isinstance(path[1], int):
        return persona.rank(persona.reacts_at(persona.reactions[path[1]])[0])
    if path[0] == "moments" and isinstance(path[1], int):
        mood = persona.moments[path[1]].when.mood
        return persona.rank(mood) if mood else None
    if path[0] == "samples" and isinstance(path[1], int) and isinstance(path[3], int):
        mood = persona.samples[path[1]].turns[path[3]].mood
        return persona.rank(mood) if mood else None
    if path[:2] == ("ending", "walks_out"):
        return 0
    return None


def _alike(persona: Persona) -> Iterator[Advice]:
    """Lines of the ladder, and reactions, that say an earlier one again."""
    said: list[str] = []
    for path, line in persona.texts():
        if path[0] != "reactions" and not (path[0] == "ladder" and path[2] == "lines"):
            continue
        if again := next((old for old in said if repeats(line, [old])), None):
            yield Advice(
                path,
                f"this says much the same as “{again}”; a conversation that has both goes "
                "round in circles, so write another",
            )
        said.append(line)


def _long(persona: Persona) -> Iterator[Advice]:
    for rank, rung in enumerate(persona.ladder):
        if min(len(line.split()) for line in rung.lines) > SHORT_LINE:
            yield Advice(
                ("ladder", rank, "lines"),
                f"every line here is longer than {SHORT_LINE} words; nobody who is upset writes so "
                "much each time, so add a short one",
            )


def _told_by_texts(persona: Persona) -> Iterator[Advice]:
    """Texts that tell a hidden fact in other words than those listed as giving it away."""
    for index, fact in enumerate(persona.facts):
        if fact.reveal == "freely":
            continue
        for path, text in persona.texts():
            # The model alone reads these three; a sample shows how the fact sounds.
            if path[:2] == ("facts", index) or path[0] in ("voice", "story", "wants", "samples"):
                continue
            if shared := _told(fact, text):
                words = ", ".join(shared[:6])
                yield Advice(
                    path,
                    f"this gives away the hidden fact {fact.id!r}: it shares {words}; say less",
                )


def _told(fact: Fact, text: str) -> list[str]:
    says = list(dict.fromkeys(content_words(fact.says)))
    here = set(content_words(text))
    shared = [stem for stem in says if stem in here]
    enough = len(shared) >= max(LEAST_SHARED, TELLS * len(says))
    return [_as_written(stem, fact.says) for stem in shared] if enough else []


def _as_written(stem: str, text: str) -> str:
    """The first word of a text with this stem."""
    words = (word.strip(".,;:!?“”\"'()") for word in text.split())
    return next((word for word in words if stem in content_words(word)), stem)


def _samples(persona: Persona) -> Iterator[Advice]:
    for index, sample in enumerate(persona.samples):
        moods = [(-1, persona.start)]
        moods += [(at, turn.mood) for at, turn in enumerate(sample.turns) if turn.mood]
        for (_, before), (at, mood) in pairwise(moods):
            step = persona.rank(mood) - persona.rank(before)
            if abs(step) > 1:
                which = "better" if step > 0 else "worse"
                yield Advice(
                    ("samples", index, "turns", at, "mood"),
                    f"from {before!r} to {mood!r} is {abs(step)} steps {which} at once; a reply "
                    "moves the customer by one step at most",
                )
        end = persona.rank(moods[-1][1]) - persona.rank(persona.start)
        where: tuple[str | int, ...] = ("samples", index, "turns", moods[-1][0], "mood")
        if sample.agent == "kind" and end < 0:
            yield Advice(
                where,
                f"with the kind agent it ends at {moods[-1][1]!r}, worse than it starts; the model "
                "learns from this how a kind agent is met",
            )
        if sample.agent == "cold" and end > 0:
            yield Advice(
                where,
                f"with the cold agent it ends at {moods[-1][1]!r}, better than it starts; the "
                "model learns from this that coldness helps",
            )
