"""What each field of a persona and a rubric is called on the form, and one line of help.

A trainer knows contact centres and need not know the names in the file. Every field of every
model stands here; a test sees to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from warmline.customer.explain import CUE_WORDS
from warmline.livelibrary import Kind
from warmline.persona import (
    Brief,
    Ending,
    Fact,
    Longest,
    Moment,
    Mood,
    Persona,
    Reaction,
    Resolved,
    Sample,
    SampleTurn,
    WalksOut,
    When,
)
from warmline.rubric import Check, Example, Level, Rubric, Step
from warmline.traits import BORROWED
from warmline.yamlfile import StrictModel

#: How a field is filled in, where its type alone does not say.
Way = Literal[
    "", "fixed", "short", "words", "mood", "rubric", "cue", "cues", "heard", "signals", "borrows"
]


@dataclass(frozen=True)
class Words:
    """A field's name and help; ``one`` is what one item of a list is called."""

    label: str
    help: str
    way: Way = ""
    one: str = ""


_CODE = "Small letters, numbers and hyphens. Nobody but you sees it."

FIELDS: dict[type[StrictModel], dict[str, Words]] = {
    Persona: {
        "id": Words(
            "Name of the file", "It stays as it is; to have another, make a copy.", "fixed"
        ),
        "name": Words("Name", "As the trainee reads it above the conversation.", "short"),
        "title": Words("What it is about", "A few words for the card: “Charged twice”.", "short"),
        "sector": Words("Sector", "Such as retail, travel, health.", "short"),
        "difficulty": Words(
            "Difficulty", "1 is gentle, 5 is very hard: how much it takes to help."
        ),
        "language": Words("Language", "Two letters; en is English.", "short"),
        "asks_for_no": Words(
            "The right answer is a kind no", "Tick it where what they ask for cannot be done."
        ),
        "brief": Words("What the agent knows", "All that a trainee is told before they begin."),
        "opening": Words("Their first message", "Sent word for word."),
        "voice": Words("How they write", "How long, which words, and what changes with the mood."),
        "story": Words("What happened to them", "The trouble from their side."),
        "wants": Words("What they want", "And what they need, if that is something else."),
        "facts": Words(
            "What they tell, and when", "Each is told once, word for word.", one="thing they know"
        ),
        "ladder": Words("Moods", "From the worst, at the top, to the best.", one="mood"),
        "start": Words("Mood at the beginning", "Not the best one.", "mood"),
        "softens": Words("What softens them", "What the agent does that helps.", "cues"),
        "hardens": Words("What hardens them", "What the agent does that hurts.", "cues"),
        "reactions": Words(
            "Reactions",
            "What they say back to a kind of reply. A larger model says it in its own words.",
            one="reaction",
        ),
        "moments": Words(
            "Moments", "Something they say once: a child calls, the train leaves.", one="moment"
        ),
        "ending": Words("How it ends", "They leave content, walk out, or have to go."),
        "samples": Words(
            "Two short dialogues",
            "One with a cold agent, one with a kind one. They show the voice best of all.",
            one="dialogue",
        ),
        "rubric": Words("Graded by", "The rubric, unless a coach chooses another.", "rubric"),
    },
    Brief: {
        "situation": Words("The situation", "Who the agent works for, what day it is, who writes."),
        "record": Words(
            "The customer's record", "One entry each, with dates and sums.", one="entry"
        ),
        "may": Words("What the agent may do", "Begin each with a verb: “Refund…”.", one="line"),
        "may_not": Words("What the agent may not do", "The limits they work within.", one="line"),
    },
    Fact: {
        "id": Words("Short name", _CODE, "short"),
        "says": Words("What they say", "In their own words, 12 to 25 of them."),
        "reveal": Words("When they tell it", "“Once they feel heard” is for what hurts most."),
        "asked_about": Words(
            "Words that ask for it", "One a line, in all their forms. For “when asked”.", "words"
        ),
        "giveaways": Words(
            "Words that would give it away",
            "One a line. They may stand nowhere else here.",
            "words",
        ),
        "from_mood": Words("Not before this mood", "May be left open.", "mood"),
    },
    Mood: {
        "mood": Words("Name of the mood", "One word, small letters: upset.", "short"),
        "means": Words("What it is like", "One sentence; it guides how they write then."),
        "lines": Words(
            "What they can always say", "Three or more that could follow any reply.", one="line"
        ),
    },
    Reaction: {
        "to": Words("When the agent", "One of these is enough.", "heard"),
        "about": Words(
            "Words in the question", "One a line. Only where “asks” alone is ticked.", "words"
        ),
        "from_mood": Words("Not before this mood", "May be left open.", "mood"),
        "until_mood": Words("Not after this mood", "May be left open.", "mood"),
        "says": Words(
            "What they say", "Each is said once. It must fit whatever was written.", one="line"
        ),
    },
    Moment: {
        "id": Words("Short name", _CODE, "short"),
        "when": Words("When", "Fill in one of the three."),
        "says": Words("What they say", "Word for word."),
    },
    When: {
        "turn": Words("At the agent's reply number", "Such as 4."),
        "mood": Words("Or when they come to this mood", "The first time.", "mood"),
        "cue": Words("Or once the agent…", "The first time.", "cue"),
    },
    Ending: {
        "resolved": Words("They leave content", "Once they are at this mood and were given this."),
        "walks_out": Words("They walk out", "When it stays at its worst for too long."),
        "longest": Words("They have to go", "However it went, after so many replies."),
    },
    Resolved: {
        "mood": Words("From this mood on", "Often the last but one.", "mood"),
        "after": Words("Once the agent…", "All that is ticked has to have happened.", "cues"),
        "line": Words("Their goodbye", "Word for word."),
    },
    WalksOut: {
        "worst_turns": Words("Replies in a row at the worst mood", "Often 3."),
        "line": Words("Their goodbye", "Word for word."),
    },
    Longest: {
        "turns": Words("After so many replies of the agent", "From 4 to 60; often 12."),
        "line": Words("Their goodbye", "Word for word."),
    },
    Sample: {
        "agent": Words("The agent is", "One dialogue of each."),
        "turns": Words("What is said", "In turns, the agent first.", one="message"),
    },
    SampleTurn: {
        "agent": Words("The agent writes", "As such an agent would."),
        "customer": Words("The customer answers", "To what was just said."),
        "mood": Words("In this mood", "Where they stand then.", "mood"),
    },
    Rubric: {
        "id": Words(
            "Name of the file", "It stays as it is; to have another, make a copy.", "fixed"
        ),
        "title": Words("Title", "As coaches and trainees read it.", "short"),
        "source": Words("Where it comes from", "A guideline, a book, your own practice.", "short"),
        "definition": Words("What empathy means here", "In your organisation's own words."),
        "pass_mark": Words("Mark to reach", "0 to 100, of the weighted total."),
        "steps": Words("Steps", "In the order in which they are shown.", one="step"),
    },
    Step: {
        "id": Words("Short name", _CODE, "short"),
        "name": Words(
            "Name of the step", "As trainees read it: “Acknowledge the feeling”.", "short"
        ),
        "why": Words("Why it matters", "One sentence for the trainee."),
        "scope": Words("Looked for in", "One reply can show it, or only the whole can."),
        "direction": Words("A high level is", "“Bad” is for what an agent should not do."),
        "weight": Words("Weight", "1 is usual, 2 counts twice."),
        "auto_fail_below": Words(
            "Fails the whole below level", "A fifth of the total is left then. May be left open."
        ),
        "applies_when": Words(
            "Counts only if", "A yes/no question about the conversation. May be left open."
        ),
        "only_for_a_no": Words(
            "Only where the right answer is a kind no", "Left out with all other customers."
        ),
        "borrows": Words(
            "Resembles", "Steps the built-in judge knows; it grades this one by them.", "borrows"
        ),
        "over_turns": Words("Which replies count most", "May be left open."),
        "checks": Words("Checks", "Three to six yes/no questions about the replies.", one="check"),
        "levels": Words("Levels", "The lowest first, each described.", one="level"),
        "examples": Words(
            "Examples", "A weak and a strong reply to the same message.", one="example"
        ),
    },
    Check: {
        "id": Words("Short name", _CODE, "short"),
        "ask": Words("Question", "Answered yes or no: “Does the agent…?”"),
        "counts": Words("A yes counts", "Against, for what an agent should not do."),
        "signals": Words("Also seen by", "What is found in the words themselves.", "signals"),
    },
    Level: {
        "score": Words("Level", "A whole number."),
        "means": Words("What it means", "What such a reply does, so that two people agree."),
    },
    Example: {
        "customer": Words("The customer writes", "One message."),
        "weak": Words("A weak reply", "Such as one reads on a bad day."),
        "strong": Words("A strong reply", "To the same message."),
        "because": Words("Why it is better", "One sentence."),
    },
}

#: The answers of a field that has a few, in plain words.
CHOICES: dict[str, str] = {
    "freely": "on their own",
    "when_asked": "when asked about it",
    "when_heard": "once they feel heard",
    "never": "never",
    "turn": "single replies",
    "session": "the whole conversation",
    "higher_is_better": "good",
    "lower_is_better": "bad",
    "for": "for the agent",
    "against": "against the agent",
    "best": "the best one",
    "worst": "the worst one",
    "last": "the last one",
    "whole": "all of them, the most telling one half",
    "cold": "cold",
    "kind": "kind",
}

#: What can be seen in an agent's words, for the checks of a rubric.
SIGNAL_WORDS = CUE_WORDS | {
    "advises": "gives advice",
    "apologises": "apologises",
    "gives_time": "names a time",
    "greets": "greets",
    "names_feeling": "uses a word for a feeling",
    "question": "asks a question",
    "verbal_nod": "nods along in words",
}

#: What a step can resemble.
BORROW_WORDS = {
    **{one: one.replace("-", " ") for one in BORROWED},
    "listen": "listens, and shows what was heard",
    "acknowledge": "acknowledges the feeling",
    "perspective": "takes the customer's place",
    "ask": "asks to understand",
    "own": "takes ownership",
    "resolve": "works towards an answer",
    "kind-no": "says a kind no",
    "personalise": "speaks to this customer",
    "close": "closes with care",
    "respect": "is respectful",
    "unasked-advice": "gives advice nobody asked for (a fault)",
    "stock-phrases": "leans on stock phrases (a fault)",
    "minimising": "makes it smaller than it is (a fault)",
    "blaming": "blames the customer (a fault)",
    "interrogating": "interrogates (a fault)",
    "talk-of-self": "talks of themselves (a fault)",
}


@dataclass(frozen=True)
class Section:
    """One part of the form."""

    id: str
    title: str
    fields: tuple[str, ...]


SECTIONS: dict[Kind, tuple[Section, ...]] = {
    "persona": (
        Section(
            "who",
            "Who they are",
            ("id", "name", "title", "sector", "difficulty", "language", "asks_for_no"),
        ),
        Section("agent-knows", "What the agent knows", ("brief",)),
        Section(
            "inside",
            "How they begin, and what moves in them",
            ("opening", "voice", "story", "wants"),
        ),
        Section("untold", "What they do not say at once", ("facts",)),
        Section("moods", "Their moods", ("ladder", "start")),
        Section("moves", "What moves them", ("softens", "hardens")),
        Section("back", "What they say back", ("reactions",)),
        Section("once", "What they say once", ("moments",)),
        Section("ends", "How it ends", ("ending",)),
        Section("dialogues", "How they talk", ("samples",)),
        Section("graded", "How it is graded", ("rubric",)),
    ),
    "rubric": (
        Section("about", "What it is for", ("id", "title", "source", "definition", "pass_mark")),
        Section("the-steps", "The steps", ("steps",)),
    ),
}
