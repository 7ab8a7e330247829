"""The chat page's handlers: they pass on what a person does and show what comes of it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import aclosing
from typing import Any

import chainlit as cl
from chainlit.data.base import BaseDataLayer
from chainlit.types import ThreadDict
from starlette.datastructures import Headers

from warmline.errors import BackendError, NotFound, TooLittle, WarmlineError
from warmline.grader.grading import Looking
from warmline.report import DIFFICULTY_WORDS, report_card
from warmline.store import StoredGrade
from warmline.web import runtime
from warmline.web.history import COACH, StoreHistory, report_step_id

log = logging.getLogger(__name__)

HOST = "Warmline"
WELCOME = (
    "Welcome. Choose a customer, read the brief, and write to them as you would at work. Nothing "
    "can go wrong here, and nothing leaves this machine. When you have had enough, press "
    "**Finish** and you get feedback on what you wrote."
)


@cl.header_auth_callback
async def local_user(_: Headers) -> cl.User:
    """Let the one person on this machine in."""
    return cl.User(identifier=runtime.LOCAL_USER)


@cl.data_layer
def history() -> BaseDataLayer:
    """Past sessions come from the project's own store."""
    return StoreHistory()


def _session_id() -> str:
    return str(cl.context.session.thread_id)


def _user_id() -> str:
    user = cl.context.session.user
    assert isinstance(user, cl.PersistedUser)
    return str(user.id)


async def _owned(session_id: str) -> bool:
    """Whether a session exists and is this person's: what comes from a browser is only a claim."""
    try:
        session = await runtime.current().store.session(session_id)
    except NotFound:
        return False
    return session.user_id == _user_id()


async def _notice(text: str, *actions: cl.Action) -> None:
    """Say something as Warmline, never as the customer."""
    await cl.Message(author=HOST, content=text, actions=list(actions)).send()


async def _show_bar() -> None:
    """Tell the practice bar what to show: nothing of what the persona hides."""
    parts = runtime.current()
    session = None
    if await _owned(_session_id()):
        view = await parts.practice.view(_session_id())
        persona = await parts.practice.persona_of(view.session)
        session = {
            "id": view.session.id,
            "name": persona.name,
            "status": view.session.status,
            "replies": view.replies,
            "grading": _session_id() in parts.finishing,
            "brief": persona.brief.model_dump(),
            "engine": parts.engine,
        }
    await cl.send_window_message({"warmline": "bar", "session": session})


@cl.on_chat_start
async def start() -> None:
    """Show the customers to choose from, or start with the one that was asked for."""
    parts = runtime.current()
    if wanted := parts.wanted.pop(_user_id(), None):
        await _begin(wanted)
        return
    await _show_bar()
    personas = [
        {
            "id": entry.item.id,
            "name": entry.item.name,
            "title": entry.item.title,
            "sector": entry.item.sector,
            "difficulty": entry.item.difficulty,
            "difficulty_word": DIFFICULTY_WORDS[entry.item.difficulty],
            "situation": entry.item.brief.situation,
        }
        for entry in sorted(parts.library.personas.values(), key=lambda e: e.item.difficulty)
    ]
    picker = cl.CustomElement(
        name="PersonaPicker", props={"personas": personas, "engine": parts.engine}
    )
    message = await cl.Message(author=HOST, content=WELCOME, elements=[picker]).send()
    cl.user_session.set("picker", message.id)


async def _begin(persona_id: str) -> None:
    parts = runtime.current()
    view = await parts.practice.begin(_session_id(), _user_id(), persona_id)
    persona = await parts.practice.persona_of(view.session)
    parts.practice.warm_up(persona_id)
    cl.context.session.has_first_interaction = True
    await cl.context.emitter.init_thread(view.session.title)
    opening = view.turns[0]
    await cl.Message(id=opening.id, author=persona.name, content=opening.text).send()
    await _show_bar()


@cl.action_callback("choose_persona")
async def choose_persona(action: cl.Action) -> str:
    """Start a session with the chosen customer."""
    persona_id = str(action.payload.get("persona_id", ""))
    parts = runtime.current()
    parts.library.persona(persona_id)
    if await _owned(_session_id()):
        return "started"
    if picker := cl.user_session.get("picker"):
        await cl.Message(id=str(picker), content="").remove()
    await _begin(persona_id)
    return "started"


@cl.on_message
async def hear(message: cl.Message) -> None:
    """Keep what the trainee wrote, then let the customer answer."""
    parts = runtime.current()
    if not await _owned(_session_id()):
        await _notice(
            "Choose a customer first: press **New practice** and then **Start** on a card."
        )
        return
    try:
        await parts.practice.say(_session_id(), message.content, turn_id=message.id)
    except WarmlineError as error:
        await _notice(str(error))
        return
    await _let_customer_answer()


async def _let_customer_answer() -> None:
    parts = runtime.current()
    view = await parts.practice.view(_session_id())
    persona = await parts.practice.persona_of(view.session)
    line = cl.Message(id=str(uuid.uuid4()), author=persona.name, content="")
    try:
        async with aclosing(parts.practice.answer(_session_id(), line_id=line.id)) as answer:
            async for sentence in answer:
                await line.stream_token(sentence)
    except asyncio.CancelledError:
        if line.content:
            await line.send()
        raise
    except BackendError as error:
        if line.content:
            await line.send()
        again = cl.Action(name="answer_again", payload={}, label="Ask for the answer again")
        await _notice(f"{error}\n\nYour message is kept.", again)
        return
    if line.content:
        await line.send()
    view = await parts.practice.view(_session_id())
    if view.session.status == "over":
        await _notice(_end_of_talk(view.state.ended, persona.name))
    await _show_bar()


def _end_of_talk(ended: str | None, name: str) -> str:
    how = {
        "resolved": f"{name} has what they came for, and has left the chat.",
        "walked_out": f"{name} has left the chat. That happens to everybody; it is what this room "
        "is for.",
        "longest": f"{name} had to go.",
    }.get(ended or "", f"{name} has left the chat.")
    return f"{how} Press **Finish** for your feedback."


@cl.action_callback("answer_again")
async def answer_again(_: cl.Action) -> None:
    """Ask again for an answer that failed."""
    if await _owned(_session_id()):
        await _let_customer_answer()


@cl.on_window_message
async def from_bar(data: Any) -> None:
    """Take what the practice bar says; it passes through the page, so nothing is trusted."""
    if not isinstance(data, dict) or data.get("warmline") != "to-server":
        return
    if data.get("what") == "finish" and await _owned(_session_id()):
        await _finish()


@cl.action_callback("grade_again")
async def grade_again(_: cl.Action) -> None:
    """Try a grading that failed once more."""
    if await _owned(_session_id()):
        await _finish()


async def _finish() -> None:
    parts = runtime.current()
    if _session_id() in parts.finishing:
        return
    parts.finishing[_session_id()] = finished = asyncio.Event()
    await _show_bar()
    status = cl.Message(author=COACH, content="Reading your conversation…")
    await status.send()
    try:
        async with aclosing(parts.practice.finish(_session_id())) as steps:
            async for step in steps:
                if isinstance(step, Looking):
                    count = min(step.done + 1, step.steps)
                    status.content = f"Looking at step {count} of {step.steps}: {step.name}…"
                    await status.update()
                else:
                    await status.remove()
                    await _show_report(step)
    except TooLittle as error:
        await status.remove()
        await _notice(str(error))
    except WarmlineError as error:
        await status.remove()
        again = cl.Action(name="grade_again", payload={}, label="Try the grading again")
        await _notice(str(error), again)
    finally:
        del parts.finishing[_session_id()]
        finished.set()
        await _show_bar()


async def _wait_for_grade() -> None:
    """Show the grade that a page closed in the meantime had asked for."""
    parts = runtime.current()
    if finished := parts.finishing.get(_session_id()):
        await finished.wait()
    if stored := await parts.store.grade(_session_id()):
        await _show_report(stored)
    await _show_bar()


async def _show_report(stored: StoredGrade) -> None:
    parts = runtime.current()
    view = await parts.practice.view(_session_id())
    persona = await parts.practice.persona_of(view.session)
    rubric = await parts.practice.rubric_of(view.session)
    card = cl.CustomElement(
        name="ReportCard", props=report_card(stored, view.turns, persona, rubric.item)
    )
    await cl.Message(
        id=report_step_id(_session_id()), author=COACH, content="Your feedback:", elements=[card]
    ).send()


@cl.action_callback("practise_again")
async def practise_again(action: cl.Action) -> str:
    """Remember the customer for the new conversation that the page opens next."""
    session_id = str(action.payload.get("session_id", ""))
    if await _owned(session_id):
        parts = runtime.current()
        session = await parts.store.session(session_id)
        parts.library.persona(session.persona_id)
        parts.wanted[_user_id()] = session.persona_id
    return "ready"


@cl.action_callback("another_customer")
async def another_customer(_: cl.Action) -> str:
    """Forget any customer asked for, so that the next page shows the choice."""
    runtime.current().wanted.pop(_user_id(), None)
    return "ready"


@cl.on_chat_resume
async def resume(thread: ThreadDict) -> None:
    """Take a session up again: show its bar, and answer what was left unanswered."""

    async def take_up() -> None:
        # The page draws the thread after this handler returns, and would drop what came before.
        await asyncio.sleep(0.5)
        await _show_bar()
        parts = runtime.current()
        if _session_id() in parts.finishing:
            await _wait_for_grade()
            return
        view = await parts.practice.view(_session_id())
        known = view.session.persona_id in parts.library.personas
        if view.session.status == "talking" and known:
            parts.practice.warm_up(view.session.persona_id)
        if view.waits_for_customer:
            await cl.context.emitter.task_start()
            try:
                await _let_customer_answer()
            finally:
                await cl.context.emitter.task_end()

    task = asyncio.create_task(take_up())
    _taking_up.add(task)
    task.add_done_callback(_taking_up.discard)


#: Tasks in flight; the event loop itself keeps only weak references.
_taking_up: set[asyncio.Task[None]] = set()
