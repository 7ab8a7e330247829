"""The chat page's handlers: they pass on what a person does and show what comes of it."""

from __future__ import annotations

import asyncio
import logging
import traceback
import uuid
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import chainlit as cl
from chainlit.data.base import BaseDataLayer
from chainlit.oauth_providers import get_configured_oauth_providers
from chainlit.types import ThreadDict
from starlette.datastructures import Headers

from warmline.accounts import Who
from warmline.errors import BackendError, NotFound, NotGraded, TooLittle, WarmlineError
from warmline.grader.grading import Looking
from warmline.report import DIFFICULTY_WORDS, as_text
from warmline.store import StoredGrade
from warmline.web import due, runtime
from warmline.web.access import who_by
from warmline.web.draft_pages import drafted
from warmline.web.history import COACH, HOST, StoreHistory, broken_off, card_of, report_step_id
from warmline.web.signing_in import local_chat_user, oauth_chat_user

log = logging.getLogger(__name__)

WELCOME = (
    "Welcome. Choose a customer, read the brief, and write to them as you would at work. Nothing "
    "can go wrong here{private}. When you have had enough, press **Finish** and you get feedback "
    "on what you wrote."
)


P = ParamSpec("P")
T = TypeVar("T")

SIGNED_OUT = (
    "You are signed out. **Reload the page to sign in again.** What you sent before is kept; if "
    "you have just typed something, copy it first."
)
BROKEN = (
    "Something went wrong here, and it is our fault, not yours. What you sent is kept. Reload the "
    "page and go on; if it happens again, tell whoever runs Warmline here when it was."
)


@cl.header_auth_callback
async def local_user(_: Headers) -> cl.User | None:
    """Let the one person on this machine in, while there are no accounts."""
    return await local_chat_user()


if get_configured_oauth_providers():

    @cl.oauth_callback
    async def vouched_for(
        provider: str,
        _token: str,
        _raw: dict[str, str],
        user: cl.User,
        _id_token: str | None = None,
    ) -> cl.User | None:
        """Let somebody in whom a provider vouches for and who has an account for it."""
        return await oauth_chat_user(provider, user.identifier)


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


def _guarded(handler: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T | None]]:
    """Let only somebody who is signed in now reach a handler, and nothing that breaks out of it.

    The page stays open long after it was opened, so each event asks anew. What breaks is logged
    by its kind and place only: a message could hold what somebody wrote.
    """

    @wraps(handler)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            if await _who() is None:
                await _notice(SIGNED_OUT)
                return None
            return await handler(*args, **kwargs)
        except WarmlineError as error:
            await _notice(await _for_this_person(error))
        except Exception as error:
            log.error("%s in %s at %s", type(error).__name__, handler.__name__, _place(error))
            await _notice(BROKEN)
        return None

    return guarded


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-4:])


async def _owned(session_id: str) -> bool:
    """Whether a session exists and is this person's: what comes from a browser is only a claim."""
    try:
        session = await runtime.current().store.session(session_id)
    except NotFound:
        return False
    return session.user_id == _user_id()


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


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
@_guarded
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
    required = await parts.accounts.login_required()
    alone = "" if required else " There are no accounts here: you have every role."
    picker = cl.CustomElement(
        name="PersonaPicker",
        props={
            "personas": personas,
            "due": await due.due_first(_user_id()),
            "engine": parts.engine + alone,
        },
    )
    welcome = WELCOME.format(private="" if parts.remote else ", and nothing leaves this machine")
    if news := await parts.store.with_news(_user_id()):
        links = ", ".join(f"[{as_text(one.title)}](/thread/{one.id})" for one in news[:5])
        await _notice(f"A coach has written to you about {links}.")
    message = await cl.Message(author=HOST, content=welcome, elements=[picker]).send()
    cl.user_session.set("picker", message.id)


async def _begin(wanted: runtime.Wish) -> None:
    parts = runtime.current()
    rubric_id = None
    if wanted.assignment_id is not None:
        rubric_id = (await due.startable(_user_id(), wanted.assignment_id)).rubric_id
    draft = None
    if wanted.draft and (who := await _who()):
        draft = await drafted(who, wanted.persona_id)
    view = await parts.practice.begin(
        _session_id(), _user_id(), wanted.persona_id, rubric_id, wanted.assignment_id, draft=draft
    )
    persona = await parts.practice.persona_of(view.session)
    parts.practice.warm_up(view.session)
    if picker := cl.user_session.get("picker"):
        await cl.Message(id=str(picker), content="").remove()
    cl.context.session.has_first_interaction = True
    await cl.context.emitter.init_thread(view.session.title)
    opening = view.turns[0]
    await cl.Message(id=opening.id, author=persona.name, content=as_text(opening.text)).send()
    await _show_bar()


@cl.action_callback("choose_persona")
@_guarded
async def choose_persona(action: cl.Action) -> str:
    """Start a session with the chosen customer, or with that of the chosen assignment."""
    persona_id = str(action.payload.get("persona_id", ""))
    assignment_id = action.payload.get("assignment_id")
    if assignment_id is not None:
        assignment = await due.startable(_user_id(), str(assignment_id))
        persona_id, assignment_id = assignment.persona_id, assignment.id
    else:
        runtime.current().library.persona(persona_id)
    if await _owned(_session_id()):
        return "started"
    if not _is_uuid(_session_id()):
        raise WarmlineError("This page has no proper address. Press New practice.")
    await _begin(runtime.Wish(persona_id, assignment_id))
    return "started"


@cl.on_message
@_guarded
async def hear(message: cl.Message) -> None:
    """Keep what the trainee wrote, then let the customer answer."""
    parts = runtime.current()
    if not await _owned(_session_id()):
        await _notice(
            "Choose a customer first: press **New practice** and then **Start** on a card."
        )
        return
    await parts.practice.say(_session_id(), message.content, turn_id=message.id)
    await _let_customer_answer()


async def _let_customer_answer() -> None:
    parts = runtime.current()
    view = await parts.practice.view(_session_id())
    persona = await parts.practice.persona_of(view.session)
    line = cl.Message(id=str(uuid.uuid4()), author=persona.name, content="")
    try:
        async with aclosing(parts.practice.answer(_session_id(), line_id=line.id)) as answer:
            async for sentence in answer:
                await line.stream_token(as_text(sentence))
    except asyncio.CancelledError:
        await _say_broken_off(line)
        raise
    except WarmlineError as error:
        await _say_broken_off(line, f"{await _for_this_person(error)}\n\n")
        return
    view = await parts.practice.view(_session_id())
    if view.turns[-1].partial:
        await _say_broken_off(line)
    elif line.content:
        await line.send()
    if view.session.status == "over":
        await _notice(_end_of_talk(view.state.ended, persona.name))
    await _show_bar()


async def _for_this_person(error: WarmlineError) -> str:
    """An error in words for whoever is there: what to mend is for whoever runs the machine."""
    failed = error if isinstance(error, BackendError) else error.__cause__
    if not isinstance(failed, BackendError):
        return str(error)
    who = await _who()
    if who and who.has("admin"):
        return str(error)
    log.warning("the language model failed: %s", type(failed).__name__)
    what = "Not graded: the" if isinstance(error, NotGraded) else "The"
    return (
        f"{what} language model did not answer. Try again in a moment; if it happens again, tell "
        "whoever runs Warmline here."
    )


async def _who() -> Who | None:
    """Who has this page open, as the database has them now."""
    return await who_by(runtime.current().accounts, cl.context.session.token)


async def _say_broken_off(line: cl.Message, why: str = "") -> None:
    """Keep half a line as half a line; where there is none yet, offer to ask for it again."""
    if line.content:
        await line.send()
        await _notice(f"{why}{broken_off(line.author)}")
        return
    again = cl.Action(name="answer_again", payload={}, label="Ask for the answer again")
    await _notice(f"{why}Your message is kept.", again)


def _end_of_talk(ended: str | None, name: str) -> str:
    how = {
        "resolved": f"{name} has what they came for, and has left the chat.",
        "walked_out": f"{name} has left the chat. That happens to everybody; it is what this room "
        "is for.",
        "longest": f"{name} had to go.",
    }.get(ended or "", f"{name} has left the chat.")
    return f"{how} Press **Finish** for your feedback."


@cl.action_callback("answer_again")
@_guarded
async def answer_again(_: cl.Action) -> None:
    """Ask again for an answer that failed."""
    if await _owned(_session_id()):
        await _let_customer_answer()


@cl.on_window_message
@_guarded
async def from_bar(data: Any) -> None:
    """Take what the practice bar says; it passes through the page, so nothing is trusted."""
    if not isinstance(data, dict) or data.get("warmline") != "to-server":
        return
    if data.get("what") == "finish" and await _owned(_session_id()):
        await _finish()


@cl.action_callback("grade_again")
@_guarded
async def grade_again(_: cl.Action) -> None:
    """Try a grading that failed once more."""
    if await _owned(_session_id()):
        await _finish()


async def _finish() -> None:
    parts = runtime.current()
    if _session_id() in parts.finishing:
        return
    parts.finishing[_session_id()] = finished = asyncio.Event()
    status = cl.Message(author=COACH, content="Reading your conversation…")
    try:
        await _show_bar()
        await status.send()
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
        await _notice(await _for_this_person(error), again)
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
    view = await runtime.current().practice.view(_session_id())
    card = cl.CustomElement(name="ReportCard", props=await card_of(view, stored))
    await cl.Message(
        id=report_step_id(_session_id()), author=COACH, content="Your feedback:", elements=[card]
    ).send()


@cl.action_callback("practise_again")
@_guarded
async def practise_again(action: cl.Action) -> str:
    """Remember the customer for the new conversation that the page opens next."""
    session_id = str(action.payload.get("session_id", ""))
    if await _owned(session_id):
        parts = runtime.current()
        parts.wanted[_user_id()] = await due.again(await parts.store.session(session_id))
    return "ready"


@cl.action_callback("hand_in")
@_guarded
async def hand_in(action: cl.Action) -> str:
    """Hand in a finished conversation for its assignment; returns what to say of it."""
    session_id = str(action.payload.get("session_id", ""))
    parts = runtime.current()
    await parts.assignments.hand_in(_user_id(), session_id)
    card = await due.of_card(await parts.store.session(session_id))
    return str(card["state"]) if card else ""


@cl.action_callback("try_again")
@_guarded
async def try_again(action: cl.Action) -> str:
    """Go on from a reply of a finished conversation, in a new one; returns the new one's id."""
    source = str(action.payload.get("session_id", ""))
    turn = action.payload.get("turn")
    if not await _owned(source) or not isinstance(turn, int):
        raise WarmlineError("There is no such reply to try again.")
    view = await runtime.current().practice.try_again(str(uuid.uuid4()), source, turn)
    return view.session.id


@cl.action_callback("another_customer")
@_guarded
async def another_customer(_: cl.Action) -> str:
    """Forget any customer asked for, so that the next page shows the choice."""
    runtime.current().wanted.pop(_user_id(), None)
    return "ready"


@cl.on_chat_resume
@_guarded
async def resume(thread: ThreadDict) -> None:
    """Take a session up again: show its bar, and answer what was left unanswered."""

    @_guarded
    async def take_up() -> None:
        # The page draws the thread after this handler returns, and would drop what came before.
        await asyncio.sleep(0.5)
        await _show_bar()
        parts = runtime.current()
        # Only here is it sure that it was the owner who was shown the coach's words.
        if edits := await parts.reviews.edits.of(_session_id()):
            await parts.store.owner_saw(_session_id(), edits[-1].id)
        if _session_id() in parts.finishing:
            await _wait_for_grade()
            return
        view = await parts.practice.view(_session_id())
        if view.session.status == "talking":
            parts.practice.warm_up(view.session)
        if view.waits_for_customer:
            await cl.context.emitter.task_start()
            try:
                await _let_customer_answer()
            finally:
                await cl.context.emitter.task_end()

    task = asyncio.ensure_future(take_up())
    _taking_up.add(task)
    task.add_done_callback(_taking_up.discard)


#: Tasks in flight; the event loop itself keeps only weak references.
_taking_up: set[asyncio.Task[None]] = set()
