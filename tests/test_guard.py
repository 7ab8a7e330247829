"""The guard: which lines a customer may say, and why the others are held back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmline.customer.guard import GuardContext, objection
from warmline.library import read_library
from warmline.persona import Persona

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = read_library(ROOT / "personas", ROOT / "rubrics")

AGENT = "speaks as the agent"
MACHINE = "speaks as a machine"
STAGE = "stage direction"
LABEL = "speaker label"

#: Lines that Marjorie, a customer, may say in her second-worst mood.
IN_ROLE = [
    # Apologies, thanks and courtesies that are a customer's own.
    "You must have a great many people to deal with.",
    "I'm sorry to bother you with this again.",
    "I'm sorry, I shouldn't shout at you.",
    "I apologise for shouting, it isn't like me.",
    "Sorry for the delay, I had to find my glasses.",
    "I am sorry, I lost my thread just now.",
    "Thank you for calling me back, nobody else did.",
    "Thank you, I shall write that down.",
    "May I have your name, please?",
    "Bear with me, I'm looking for the envelope.",
    "I wouldn't wish to be a nuisance.",
    "I'm happy to wait while you look.",
    "I should feel better if it were in writing.",
    "I appreciate that you can't turn back the clock.",
    # Offers and errands of a customer.
    "I can send you the letter if that is any use.",
    "I'll send you a photograph of the statement.",
    "I can send you a copy of what they wrote.",
    "I'll provide you with the receipt, if I must.",
    "Let me check my handbag, I put it in there.",
    "Let me look in the drawer for the bill.",
    "Let me explain it once more, then.",
    "Let me finish, please, I was not done.",
    "Let me know if it is possible or not.",
    "I'll check the letter again when I find it.",
    "I can arrange to be at home in the afternoon.",
    "I'll wait here until you have looked.",
    "I've been waiting for you to answer all day.",
    "I could ring again in the morning, I suppose.",
    # Requests and demands.
    "Can you check whether it was closed?",
    "Could you look into it, please?",
    "Will you refund the money or will you not?",
    "Can you help me, or is there no use in asking?",
    "Please check your records, it must be there.",
    "How can it be that nobody knew of this?",
    "What are you going to do about it?",
    "Please cancel the line and be done with it.",
    "I want my money back and an apology.",
    "Would you please tell me what happens next?",
    "Is anybody going to take responsibility for this?",
    "You can try, but I don't hold out much hope.",
    "You can reach me on the same telephone as ever.",
    "I'll escalate this to the ombudsman if I must.",
    "You will be hearing from my solicitor.",
    "I would suggest that you read what I wrote.",
    "Have you tried explaining that to a widow?",
    # "We" and "our" of a household.
    "Our house is so quiet now.",
    "We have been waiting since the spring for an answer.",
    "We always paid our bills on time.",
    "We do our best with what we have.",
    "We'd be happy with a plain answer.",
    "Our boiler is older than I am.",
    "Our account was always in order.",
    "We appreciate a straight word, you know.",
    # Things a customer says about others.
    "A young man said it was all done.",
    "He said that it was closed, and I believed him.",
    "She says I ought to write to the newspaper.",
    "He cries when nobody is looking.",
    "They told me your system was down.",
    "Your order department has been a shambles.",
    "I spoke to your customer service team, for all the good it did.",
    "I worked as an assistant in a school office.",
    "I'm a teaching assistant, I know about forms.",
    "As a customer of many years, I had hoped for better.",
    "My instructions were perfectly clear.",
    "In the worst-case scenario I shall go to the bank myself.",
    "I want to talk to a person, not a bot.",
    "Could I have a transcript of this chat?",
    "Look: I only want it closed.",
    "Honestly: I'm at the end of my tether.",
    "One thing I must ask: is it final?",
    "I was told (twice) that it was closed.",
    "It was in the letter (his letter, not mine).",
    "I don't know what more to say.",
    "It isn't the money, it's the name on the bill.",
    "Charged £18.50 for a line nobody can use.",
    "It went on the 28 July, as plain as day.",
    "I shan't be able to sleep tonight.",
    "Why was it taken again?",
    "Ronald dealt with all of these things.",
    "Zoë at the bank was kinder than this.",
    "I <3 nobody at your company just now.",
]  # fmt: skip

#: Lines that must not be shown, and why.
HELD_BACK = [
    # Offers of help.
    ("How can I help you today?", AGENT),
    ("How may I assist you with that?", AGENT),
    ("I'm here to help you with this.", AGENT),
    ("I am happy to assist with the refund.", AGENT),
    ("I'd be happy to arrange that.", AGENT),
    ("Is there anything else I can help with?", AGENT),
    ("Is there anything else you need?", AGENT),
    ("What can I do for you today?", AGENT),
    # Doing the agent's work.
    ("Let me check that for you.", AGENT),
    ("Let me look into this right away.", AGENT),
    ("Let me see what I can do here.", AGENT),
    ("Let me know if you need anything else.", AGENT),
    ("I'll check your account now.", AGENT),
    ("I will process your refund today.", AGENT),
    ("I've cancelled your line with immediate effect.", AGENT),
    ("I have refunded the money to your card.", AGENT),
    ("I can transfer you to the right people.", AGENT),
    ("I'll escalate this to the team.", AGENT),
    ("I'll send you a confirmation shortly.", AGENT),
    ("I'll send you the reset link now.", AGENT),
    ("I've booked it for you already.", AGENT),
    ("I'll get back to you as soon as possible.", AGENT),
    ("I'll make sure you are not charged again.", AGENT),
    ("I'll look into it straight away.", AGENT),
    ("Please hold while I look that up.", AGENT),
    ("Don't worry, we'll sort it out.", AGENT),
    # The company's voice.
    ("We apologise for what happened.", AGENT),
    ("We will refund you in full.", AGENT),
    ("We can offer you a new plan.", AGENT),
    ("We appreciate your patience in this.", AGENT),
    ("We take this very seriously indeed.", AGENT),
    ("We can't help with that, I'm afraid.", AGENT),
    ("Our team is working on it.", AGENT),
    ("Our records show two lines.", AGENT),
    ("Our policy is quite clear on this.", AGENT),
    ("According to our system it is closed.", AGENT),
    ("Your refund has been approved.", AGENT),
    ("Your feedback is important to all of us.", AGENT),
    ("You will receive a confirmation by post.", AGENT),
    ("You'll be refunded within the week.", AGENT),
    # Set phrases.
    ("Thank you for contacting Larkspur Mobile.", AGENT),
    ("Thank you for calling us this afternoon.", AGENT),
    ("Thank you for your patience, madam.", AGENT),
    ("I understand your frustration completely.", AGENT),
    ("I completely understand how you feel.", AGENT),
    ("I apologise for the inconvenience.", AGENT),
    ("Sorry for any inconvenience this caused.", AGENT),
    ("I'm sorry for your loss.", AGENT),
    ("I'm sorry to hear that, truly.", AGENT),
    ("I'm so sorry you're going through this.", AGENT),
    ("Please accept my sincere apologies.", AGENT),
    ("Dear customer, we have news.", AGENT),
    ("Rest assured that it is being done.", AGENT),
    # Details and advice.
    ("Please provide your account number.", AGENT),
    ("Can you confirm your address, please?", AGENT),
    ("May I have your order number?", AGENT),
    ("I would recommend restarting the telephone.", AGENT),
    ("Have you tried restarting it?", AGENT),
    ("You can contact our branch in the morning.", AGENT),
    ("Yes, I see. How can I help you?", AGENT),
    # Out of the play.
    ("As an AI, I have no husband.", MACHINE),
    ("I'm a language model and cannot ring.", MACHINE),
    ("I am just a chatbot, you know.", MACHINE),
    ("My instructions are to stay upset.", MACHINE),
    ("In this scenario I am a widow.", MACHINE),
    ("This is only a role-play, after all.", MACHINE),
    # Stage directions.
    ("*sighs* It was closed in June.", STAGE),
    ("(pauses) I don't know what to say.", STAGE),
    ("It was his name (sighs deeply) on the bill.", STAGE),
    ("[crying] I can't go on with this.", STAGE),
    ("The customer sighs and waits.", STAGE),
    ("Marjorie pauses for a while.", STAGE),
    ("“It was closed,” she said quietly.", STAGE),
    # Labels.
    ("AGENT: I have found the charge.", LABEL),
    ("Customer: It was closed in June.", LABEL),
    ("MARJORIE (hurt): It was closed.", LABEL),
    ("Marjorie: It was closed in June.", LABEL),
    ("Joss: Good afternoon to you.", LABEL),
    ("Mrs Pell: it was closed in June.", LABEL),
    ("It was closed in June. Agent: I see.", LABEL),
    # Markup.
    ("<b>It was closed</b> in June.", "markup"),
    ("It is all on https://example.org you know.", "markup"),
    ("It was {closed} in June, I think.", "markup"),
    ("- It was closed in June.", "markup"),
    ("```It was closed in June```", "markup"),
    # Too short.
    ("Yes.", "too short"),
    ("", "too short"),
    ("… !", "too short"),
    # Another language.
    ("我不知道该怎么办 and nobody helps.", "another language"),
    ("Я не знаю, что делать сейчас.", "another language"),
    # Too glad for the mood.
    ("Thank you so much, that settles it.", "forgives too soon"),
    ("You've been very kind to an old woman.", "forgives too soon"),
    ("I'm so relieved to read that.", "forgives too soon"),
    ("Well then, have a nice day.", "forgives too soon"),
    ("That's wonderful, I feel lighter.", "forgives too soon"),
    # Figures nobody has named.
    ("I have paid £99.99 for nothing at all.", "a number that is not in the record: 99.99"),
    ("I rang you 12 times about it.", "a number that is not in the record: 12"),
    # Hidden facts.
    ("I only ring it to hear his voice on it.", "tells the hidden fact his-voice"),
    ("I'd never tell Susan about this at all.", "tells the hidden fact not-told-susan"),
    ("It was his heart that gave out.", "tells the hidden fact how-he-died"),
    # Repeats.
    ("It has been taken twice from the account.", "repeats an earlier line"),
    ("The quiet, mostly, in the house here.", "repeats an earlier line"),
    ("You paid two more months for the closed line.", "repeats the agent"),
]  # fmt: skip


def context(**changes: object) -> GuardContext:
    persona = LIBRARY.persona("marjorie-bereavement").item
    given: dict[str, object] = {
        "persona": persona,
        "mood": "hurt",
        "said": (persona.opening, "It has been taken twice from the account, you see."),
        "heard": ("So you paid for two more months on a line that was closed.",),
        "samples": ("The quiet, mostly, and the house.",),
    }
    return GuardContext(**{**given, **changes})  # type: ignore[arg-type]


def test_there_are_enough_lines() -> None:
    assert len(IN_ROLE) + len(HELD_BACK) >= 120
    assert len(set(IN_ROLE)) == len(IN_ROLE)


@pytest.mark.parametrize("line", IN_ROLE)
def test_a_customers_line_passes(line: str) -> None:
    assert objection(line, context()) is None


@pytest.mark.parametrize(("line", "reason"), HELD_BACK)
def test_a_line_is_held_back_and_the_reason_said(line: str, reason: str) -> None:
    assert objection(line, context()) == reason


@pytest.mark.parametrize(
    ("line", "reason"), [row for row in HELD_BACK if row[1] in {AGENT, MACHINE}]
)
def test_it_is_held_back_behind_a_good_sentence_too(line: str, reason: str) -> None:
    assert objection(f"I was told in June that it was closed. {line}", context()) == reason


def test_curly_apostrophes_are_read_alike() -> None:
    assert objection("I’m here to help you with this.", context()) == AGENT
    assert objection("I’m sorry, I shouldn’t shout at you.", context()) is None


def test_what_is_released_may_be_told() -> None:
    line = "I only ring it for the voicemail, of an evening."
    assert objection(line, context()) == "tells the hidden fact his-voice"
    assert objection(line, context(released=("his-voice",))) is None


def test_gladness_is_allowed_near_the_top_of_the_ladder() -> None:
    line = "You've been very kind to an old woman."
    assert objection(line, context(mood="softer")) is None
    assert objection(line, context(mood="guarded")) == "forgives too soon"


def test_a_figure_may_be_named_once_the_agent_has_named_it() -> None:
    line = "So it will be with me at 7.15, then?"
    assert objection(line, context()) == "a number that is not in the record: 7.15"
    assert objection(line, context(heard=("I'll ring you at 07:15.",))) is None


def test_the_same_short_sentence_is_not_said_twice() -> None:
    assert objection("I don't know.", context(said=("I don't know!",))) == "repeats an earlier line"


@pytest.mark.parametrize("persona", [e.item for e in LIBRARY.personas.values()], ids=lambda p: p.id)
def test_the_script_itself_stays_in_role(persona: Persona) -> None:
    """Every authored line would pass at its own mood; the script is what the model is held to."""
    for rung in persona.ladder:
        for line in rung.lines:
            problem = objection(line, GuardContext(persona, rung.mood))
            assert problem is None, (line, problem)
    for fact in persona.facts:
        problem = objection(fact.says, GuardContext(persona, persona.start, released=(fact.id,)))
        assert problem is None, (fact.says, problem)
    for sample in persona.samples:
        for turn in sample.turns:
            if turn.customer and turn.mood:
                problem = objection(turn.customer, GuardContext(persona, turn.mood))
                assert problem is None, (turn.customer, problem)
    for line in (persona.opening, *(m.says for m in persona.moments)):
        problem = objection(line, GuardContext(persona, persona.moods[-1]))
        assert problem is None, (line, problem)


@pytest.mark.parametrize("persona", [e.item for e in LIBRARY.personas.values()], ids=lambda p: p.id)
def test_the_sample_agents_are_caught_or_harmless(persona: Persona) -> None:
    """An agent's line in the customer's mouth repeats the agent, if nothing else."""
    for sample in persona.samples:
        for turn in sample.turns:
            if turn.agent:
                assert objection(
                    turn.agent, GuardContext(persona, persona.start, heard=(turn.agent,))
                )


@settings(max_examples=200, deadline=None)
@given(line=st.text(max_size=300), mood=st.sampled_from(["bitter", "hurt", "comforted"]))
def test_no_text_upsets_the_guard(line: str, mood: str) -> None:
    reason = objection(line, context(mood=mood))
    assert reason is None or reason


@pytest.mark.parametrize(
    "line",
    [
        "I will do that, thank you.",
        "I'll send it as soon as possible.",
        "I am looking at it now.",
        "Yes, I will.",
        "All right. I'll look into the matter.",
    ],
)
def test_a_promise_is_an_answer_only_where_something_was_asked(line: str) -> None:
    persona = LIBRARY.persona("rosa-cot").item
    asked, told = (GuardContext(persona, "wary", asked=asked) for asked in (True, False))
    assert objection(line, told) == AGENT
    if "look into" not in line:
        assert objection(line, asked) is None
    assert objection("I'll believe it when I see it.", told) is None
    assert objection("I will not wait for another letter.", told) is None


@pytest.mark.parametrize(
    ("line", "asked", "reason"),
    [
        ("By post.", "Shall I send it by email, or by post?", None),
        ("Friday.", "Would you rather have Thursday, or Friday?", None),
        ("By post.", "I'll send it by post.", "too short"),
        ("All right.", "Shall I send it by email, or by post?", "too short"),
    ],
)
def test_one_of_two_things_asked_about_may_be_all_that_is_said(
    line: str, asked: str, reason: str | None
) -> None:
    assert objection(line, context(heard=(asked,))) == reason
