"""The lines of a new customer, drafted by the model for the trainer to edit.

What it writes is held against the guard's rules, and a line that does not pass is left out. What is
missing then is missing in the draft, which says so at the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from warmline.backends.base import Backend, Priority
from warmline.customer.guard import repeats, sounds_content, wrong_speaker
from warmline.detectors import content_words
from warmline.errors import CutReply
from warmline.interview import (
    COLD_REPLIES,
    Answers,
    Drafted,
    facts_of,
    flat,
    kind_replies,
    texts_of,
)
from warmline.persona import LEAST_LINES, mentions

#: Changed with every change of the texts below.
INTERVIEW_PROMPT_VERSION = "interview-1"

SYSTEM = """\
You help a trainer of contact-centre agents to write the lines of an upset customer for practice \
chats. You write only what the customer types: in the first person, in plain words, one or two \
short sentences, with details of what happened. The customer never helps and never reassures the \
agent."""
CUSTOMER = """\
Customer: {name}. {who} {happened} {why} Wants: {wants} Writes: {voice}
"""
OMAR = CUSTOMER.format(
    name="Omar Haddad",
    who="Omar, 44, runs a small café.",
    happened="His oven was collected for repair three weeks ago and nobody tells him where it is.",
    why="He feels fobbed off and is afraid of losing his regulars.",
    wants="A date for the oven.",
    voice="Plainly, a little sarcastic.",
)
LINES_ASKED = "Four things {first} types when {feeling}:"
#: The better moods come of something.
HEARD = '{feeling}, because the agent listened and promised: "{may}"'
REPLY_ASKED = 'When {feeling}, {first} answers an agent who writes "{agent}" with:'
ENDINGS_ASKED = {
    "resolved": "Now {feeling}, {first} says goodbye to the agent with:",
    "walks_out": "Now {feeling}, {first} gives up on the agent and leaves with:",
    "longest": "Still waiting, {first} has to leave the chat for something else and types:",
}
#: What the model is shown before it is asked: how many lines, in which tone.
EXAMPLES = (
    (
        LINES_ASKED.format(first="Omar", feeling="furious"),
        "1. I bake for a living and you've left me with a toaster. Think about that for a second.\n"
        "2. Three weeks. You people have a word for everything except the truth.\n"
        "3. I'm done being polite to a queue number.\n"
        "4. Somebody has my oven in a van, and nobody there knows which van.",
    ),
    (
        LINES_ASKED.format(
            first="Omar",
            feeling=HEARD.format(feeling="relieved", may="Bring the oven back on Friday at 7."),
        ),
        "1. That's the first straight answer since it left my kitchen.\n"
        "2. I can plan with that. It's all I was after.\n"
        "3. My regulars will be glad on Friday, and so will I.\n"
        "4. I didn't think that anybody there would ring the driver. You did.",
    ),
    (
        REPLY_ASKED.format(first="Omar", feeling="furious", agent="What is your order number?"),
        "It's the one you lost together with my oven.",
    ),
)

#: Three draws for each question, each a little freer; what has not passed then is left open.
DRAWS = 3
TEMPERATURE, WARMER = 0.8, 0.1
TOKENS_A_LINE = 34
MOST_WORDS = 40
#: A line that sounds as content as this is not said by somebody upset, and one whose voice is the
#: agent's by as much not by the customer.
SOUNDS_CONTENT, SOUNDS_AGENT = 0.3, 0.3
#: How many questions are asked for one customer.
QUESTIONS = 4 + 4 + 3


def question(answers: Answers, asked: str) -> list[BaseMessage]:
    """The whole prompt for one question: only its last message is another for each."""
    first = answers.name.split()[0]
    about = CUSTOMER.format(
        name=answers.name,
        who=flat(answers.who),
        happened=flat(answers.happened),
        why=flat(answers.why),
        wants=flat(answers.wants),
        voice=flat(answers.voice),
    )
    messages: list[BaseMessage] = [SystemMessage(SYSTEM)]
    for example, lines in EXAMPLES:
        messages += [HumanMessage(f"{OMAR}\n{example}"), AIMessage(lines)]
    return [*messages, HumanMessage(f"{about}\n{asked.format(first=first)}")]


class Drafting:
    """Drafts the lines of one customer.

    Args:
        backend: the model.
        answers: what the trainer said.
        voice: says how likely each voice is speaking in a line; None to go by the rules alone.
        seed: of the draws.
    """

    def __init__(
        self,
        backend: Backend,
        answers: Answers,
        voice: Callable[[str], Mapping[str, float]] | None,
        *,
        seed: int = 1,
    ) -> None:
        self.backend = backend
        self.answers = answers
        self.voice = voice
        self.seed = seed
        self.drafted = Drafted()
        #: How many of ``QUESTIONS`` were asked.
        self.asked = 0
        self._hidden = [word for fact in facts_of(answers) for word in fact["giveaways"]]
        # Words of the examples that have no place in this customer's mouth.
        own = set(content_words(" ".join(texts_of(answers))))
        self._lent = set(content_words(OMAR + " ".join(lines for _, lines in EXAMPLES))) - own

    async def run(self) -> Drafted:
        """Draft everything. What is drafted already stays in ``drafted`` if the model fails.

        Raises:
            BackendError: when the model fails.
        """
        drafted, feelings = self.drafted, self.answers.feelings

        async def asked(
            words: str, rank: int, count: int = 1, heard: Sequence[str] = ()
        ) -> list[str]:
            feeling = flat(feelings[rank])
            if rank >= 2:
                feeling = HEARD.format(feeling=feeling, may=flat(self.answers.may[0]))
            lines = await self._lines(words, feeling, count, heard, low=rank < 2)
            self.asked += 1
            return lines

        for rank in range(len(feelings)):
            # One more than a mood needs: the best of those where they begin opens the chat.
            count = LEAST_LINES + (rank == 1)
            drafted.lines[rank] = await asked(LINES_ASKED, rank, count)
        if len(drafted.lines[1]) > LEAST_LINES:
            drafted.opening = drafted.lines[1].pop(0)
        kind = kind_replies(self.answers)
        for lines, replies, ranks in (
            (drafted.cold, COLD_REPLIES, (1, 0)),
            (drafted.kind, kind, (2, 3)),
        ):
            for number, (reply, rank) in enumerate(zip(replies, ranks, strict=True)):
                words = REPLY_ASKED.replace("{agent}", _braced(reply))
                lines[number] = _first(await asked(words, rank, heard=(reply,)))
        drafted.resolved = _first(await asked(ENDINGS_ASKED["resolved"], 3))
        drafted.walks_out = _first(await asked(ENDINGS_ASKED["walks_out"], 0))
        drafted.longest = _first(await asked(ENDINGS_ASKED["longest"], 1))
        return drafted

    async def _lines(
        self, words: str, feeling: str, count: int, heard: Sequence[str], *, low: bool
    ) -> list[str]:
        found: list[str] = []
        asked = words.replace("{feeling}", _braced(feeling))
        for draw in range(DRAWS):
            answer = await self._answer(asked, 4 if count > 1 else 1, draw)
            for row in answer.splitlines():
                line = re.sub(r"^\s*(?:\d+[.)]|-)\s*", "", row).strip().strip('"“”')
                earlier = [*self.drafted.all(), *found]
                if len(found) < count and self._passes(line, earlier, heard, low=low):
                    found.append(line)
            if len(found) == count:
                break
        return found

    async def _answer(self, asked: str, lines: int, draw: int) -> str:
        try:
            return await self.backend.chat(
                question(self.answers, asked),
                max_tokens=TOKENS_A_LINE * lines,
                temperature=TEMPERATURE + WARMER * draw,
                seed=self.seed + draw,
                priority=Priority.BACKGROUND,
            )
        except CutReply as error:
            # The last line has no end, and does not pass for that.
            return error.partial

    def _passes(
        self, line: str, earlier: Sequence[str], heard: Sequence[str], *, low: bool
    ) -> bool:
        """Whether a line can stand in the draft; ``low``: the customer is upset when saying it."""
        straight = line.replace("’", "'")
        if self.voice is not None:
            voices = self.voice(straight)
            if voices["agent"] >= SOUNDS_AGENT or (low and voices["content"] >= SOUNDS_CONTENT):
                return False
        return (
            3 <= len(straight.split()) <= MOST_WORDS
            and straight.endswith((".", "!", "?"))
            and wrong_speaker(straight, self.answers.name, "en") is None
            and not (low and sounds_content(straight))
            and not any(mentions(straight, word) for word in self._hidden)
            and len(self._lent.intersection(content_words(straight))) < 2
            and not repeats(straight, (*earlier, *heard, *(lines for _, lines in EXAMPLES)))
        )


def _first(lines: Sequence[str]) -> str:
    return lines[0] if lines else ""


def _braced(text: str) -> str:
    """A text as it has to stand in a pattern that is filled in later."""
    return text.replace("{", "{{").replace("}", "}}")
