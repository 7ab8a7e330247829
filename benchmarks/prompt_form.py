"""Which prompt keeps a model in the customer's role: a transcript to continue, or a chat?

Draws one line in each form for the same turns, and counts what the guard would hold back. The turns
come from a file that `warmline bench customer --lines FILE` wrote. It uses whatever backend the
settings name, so that it can be asked of any model:

    .venv/bin/python benchmarks/prompt_form.py FILE [TURNS]
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from warmline.backends import Backend, make_backend
from warmline.customer.actor import (
    CHAT_HEADING,
    HEADER,
    LIVE_HEADING,
    MAX_TOKENS,
    TEMPERATURE,
    Said,
    line_prompt,
    opening_prompt,
)
from warmline.customer.director import Direction
from warmline.customer.guard import GuardContext, objection
from warmline.errors import CutReply
from warmline.grader.learned import shipped_judge
from warmline.library import read_library
from warmline.persona import Persona
from warmline.settings import Settings

TURNS = 60
SEED = 7


def chat_messages(persona: Persona, chat: list[Said], mood: str) -> list[BaseMessage]:
    """The same material as a chat in which the model is the assistant and plays the customer."""
    opening = opening_prompt(persona)
    first = persona.name.split()[0]
    shown = opening[: opening.index(LIVE_HEADING)]
    assert shown.startswith(HEADER[:10])
    assert CHAT_HEADING.format(manner="a kind") in shown
    system = (
        f"You play {first}, a customer. Stay in the role and write only {first}'s next message, "
        f"one or two sentences.\n\n{shown}"
    )
    messages: list[BaseMessage] = [SystemMessage(system), HumanMessage("Hello, how can I help?")]
    messages.append(AIMessage(persona.opening))
    for said in chat:
        messages.append(HumanMessage(said.text) if said.role == "agent" else AIMessage(said.text))
    assert isinstance(messages[-1], HumanMessage)
    messages[-1] = HumanMessage(f"{messages[-1].text}\n\n({first} is now {mood}.)")
    return messages


async def drawn(backend: Backend, persona: Persona, chat: list[Said], mood: str) -> dict[str, str]:
    """One line in each form."""
    prompt = line_prompt(persona, chat, Direction(mood=mood), 3 * backend.context_length)
    pieces = backend.continue_text(
        prompt,
        stop=["\n", "AGENT:"],
        max_tokens=MAX_TOKENS,
        temperature=TEMPERATURE,
        seed=SEED,
        fresh_words=True,
    )
    transcript = "".join([piece async for piece in pieces])
    try:
        answer = await backend.chat(
            chat_messages(persona, chat, mood),
            max_tokens=MAX_TOKENS,
            temperature=TEMPERATURE,
            seed=SEED,
        )
    except CutReply as cut:
        answer = cut.partial
    return {"transcript": transcript.strip(), "chat": answer.strip().split("\n")[0]}


async def main(sessions: list[dict[str, Any]], turns: int) -> None:
    """Draw, and say what the guard makes of the lines."""
    settings = Settings()
    library = read_library(settings.personas_dir, settings.rubrics_dir)
    places = [
        (session, number)
        for session in sessions
        if session["agent"] in {"kind", "mixed", "cold"}
        for number in range(len(session["turns"]))
    ]
    chosen = random.Random(SEED).sample(places, min(turns, len(places)))
    # One persona after the other, so that its beginning is read once.
    chosen.sort(key=lambda place: str(place[0]["persona"]))
    backend = await make_backend(settings)
    held: dict[str, Counter[str]] = {"transcript": Counter(), "chat": Counter()}
    try:
        for session, number in chosen:
            persona = library.persona(session["persona"]).item
            chat: list[Said] = []
            for turn in session["turns"][:number]:
                chat += [
                    Said("agent", turn["agent"]),
                    Said("customer", turn["customer"], turn["mood"]),
                ]
            now = session["turns"][number]
            chat.append(Said("agent", now["agent"]))
            context = GuardContext(
                persona,
                now["mood"],
                released=tuple(now["released"]),
                said=(persona.opening, *(one.text for one in chat if one.role == "customer")),
                heard=tuple(one.text for one in chat if one.role == "agent"),
                voice=shipped_judge().voice,
            )
            for form, line in (await drawn(backend, persona, chat, now["mood"])).items():
                problem = (objection(line, context) or "passes").split(":")[0]
                held[form][problem] += 1
                print(f"{form:10} {problem:24} {line}")
    finally:
        await backend.aclose()
    print(f"\n{backend.name}, {backend.model}: {len(chosen)} turns")
    for form, counted in held.items():
        print(f"  {form}: " + ", ".join(f"{name} {n}" for name, n in counted.most_common()))


if __name__ == "__main__":
    kept = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    asyncio.run(
        main([json.loads(one) for one in kept], int(sys.argv[2]) if len(sys.argv) > 2 else TURNS)
    )
