"""One practice session, turn by turn: what the page, the terminal and the simulator drive.

Everything typed is in the store before it is answered. Whatever breaks off can be taken up
again from there: an unanswered reply is answered, an ungraded session is graded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing

from warmline.backends import make_judge
from warmline.backends.base import Backend, CheckJudge, Priority
from warmline.customer import actor
from warmline.customer.director import CustomerState, Direction, Found, direct, first_state
from warmline.customer.guard import GuardContext
from warmline.detectors import Exchange
from warmline.errors import BackendError, NotFound, NotGraded, SessionOver, TooLittle, WarmlineError
from warmline.grader import checks, coaching
from warmline.grader.calibration import Head
from warmline.grader.grading import AnswerBook, Grader, Key, Looking
from warmline.grader.learned import shipped_judge
from warmline.hearing import Hearing, asks_for_something
from warmline.library import Entry, Library
from warmline.persona import Persona
from warmline.retention import forget
from warmline.review import standing
from warmline.rubric import Rubric
from warmline.sessions import SessionReader, View
from warmline.settings import Settings
from warmline.store import Store, StoredGrade, StoredSession
from warmline.transcript import LONGEST_MESSAGE

#: What the title of a second try says, before the number of the reply it goes on from.
_AGAIN = ", again from reply "

log = logging.getLogger(__name__)


class StoreBook:
    """The grader's answers, kept in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def known(self, subject: str, rubric_hash: str, digest: str) -> dict[Key, float | None]:
        """The answers kept for a subject, for this rubric, model and prompt version."""
        return await self._store.answers(subject, rubric_hash, digest, checks.CHECK_PROMPT_VERSION)

    async def keep(
        self, subject: str, rubric_hash: str, digest: str, key: Key, probability: float | None
    ) -> None:
        """Keep one answer."""
        await self._store.keep_answer(
            subject, rubric_hash, digest, checks.CHECK_PROMPT_VERSION, key, probability
        )


async def grader_for(
    store: Store, judge: CheckJudge, rubric: Entry[Rubric], book: AnswerBook, *, ask_all: bool
) -> Grader:
    """A grader with the head that was calibrated for it, if one is in the store."""
    plain = Grader(judge, rubric, book, ask_all=ask_all)
    found = await store.head(rubric.hash, plain.judged_by)
    if found is None:
        return plain
    return Grader(judge, rubric, book, ask_all=ask_all, head=Head.model_validate_json(found))


class Practice(SessionReader):
    """Runs sessions with one store, one library and one backend.

    ``judge`` answers the grader's checks, the backend itself if none is given; with ``ask_all`` it
    is asked about every step, not only where it is needed. ``hearing`` is what the customer takes
    in of a message; by default with the learned judge.
    """

    def __init__(
        self,
        store: Store,
        library: Library,
        backend: Backend,
        *,
        judge: CheckJudge | None = None,
        ask_all: bool = False,
        hearing: Hearing | None = None,
    ) -> None:
        super().__init__(store)
        self.library = library
        self.backend = backend
        self.judge: CheckJudge = judge or backend
        self.ask_all = ask_all
        self.hearing = hearing or Hearing(shipped_judge())
        self._locks: dict[str, asyncio.Lock] = {}
        self._background: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Stop the background work. What it has not asked yet is asked at Finish."""
        tasks = list(self._background.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._background.clear()
        if self.judge is not self.backend:
            await self.judge.aclose()

    # Beginning

    async def begin(
        self,
        session_id: str,
        user_id: str,
        persona_id: str,
        rubric_id: str | None = None,
        assignment_id: str | None = None,
        *,
        draft: Entry[Persona] | None = None,
    ) -> View:
        """Start a session; its first turn is the persona's opening line.

        With ``assignment_id`` it is practised for that assignment; whether it is the user's, the
        caller has asked. With ``draft`` that version of the persona plays, which is not in the
        library, and the session counts nowhere.

        Raises:
            NotFound: if there is no such persona or rubric.
            WarmlineError: if there is a session of that id that is somebody else's.
        """
        persona = draft or self.library.persona(persona_id)
        rubric = self.library.rubric(rubric_id or persona.item.rubric)
        with contextlib.suppress(NotFound):
            # Started already, by a second press of the same button.
            view = await self.view(session_id)
            if view.session.user_id != user_id:
                raise WarmlineError("That conversation is somebody else's. Press New practice.")
            return view
        await self.store.start_session(
            session_id,
            user_id,
            persona,
            rubric,
            first_state(persona.item).model_dump_json(),
            seed=zlib.crc32(session_id.encode()),
            assignment_id=assignment_id,
            draft=draft is not None,
        )
        return await self.view(session_id)

    async def try_again(self, session_id: str, source_id: str, turn: int) -> View:
        """Start a session that goes on from a reply of a finished one, as if it was not yet sent.

        Mood, released facts and what the grader knows of the turns before are those of that
        moment. The finished session stays as it is.

        Args:
            session_id: the new session.
            source_id: the finished session.
            turn: the number of the reply to try again.

        Raises:
            NotFound: if there is no such session or reply.
            WarmlineError: if that session is not finished.
        """
        source = await self.view(source_id)
        if source.session.status not in ("graded", "not_graded"):
            raise WarmlineError("Finish this conversation first; then try any reply again.")
        if not any(one.number == turn and one.role == "agent" for one in source.turns):
            raise NotFound("There is no such reply in that conversation.")
        reply = sum(one.role == "agent" for one in source.turns if one.number <= turn)
        title = source.session.title.split(_AGAIN)[0] + f"{_AGAIN}{reply}"
        seed = zlib.crc32(session_id.encode())
        await self.store.branch_session(session_id, source.session, turn, title, seed)
        return await self.view(session_id)

    def warm_up(self, session: StoredSession) -> None:
        """Let the engine read what every session of this persona begins with, in the background.

        Also asks the rubric's questions about the neutral reply, once for all sessions.
        """

        async def work() -> None:
            persona, rubric = await self.persona_of(session), await self.rubric_of(session)
            prompt = actor.opening_prompt(persona)
            pieces = self.backend.continue_text(
                prompt, stop=["\n"], max_tokens=1, temperature=0.0, seed=1,
                priority=Priority.FINISH,
            )  # fmt: skip
            async for _ in pieces:
                pass
            await (await self._grader(rubric)).prepare()

        self._in_background(f"warm-up {session.persona_hash} {session.rubric_hash}", work)

    # Talking

    async def say(self, session_id: str, text: str, *, turn_id: str | None = None) -> None:
        """Keep the agent's message. Answer it with ``answer``.

        Raises:
            SessionOver: if the conversation has ended.
            WarmlineError: if the message is empty or too long.
        """
        if not text.strip():
            raise WarmlineError("That message is empty. Write something first.")
        if len(text) > LONGEST_MESSAGE:
            raise WarmlineError(
                f"That message has {len(text)} characters; at most {LONGEST_MESSAGE} can be sent. "
                "Shorten it and send it again."
            )
        async with self._lock(session_id):
            view = await self._settled_view(session_id)
            if any(turn.id == turn_id for turn in view.turns):
                return
            if view.session.status == "graded":
                raise SessionOver(
                    "This conversation has ended and has its feedback. "
                    "Press Practise again on the report card to go on."
                )
            if view.session.status != "talking":
                raise SessionOver("This conversation has ended. Press Finish for your feedback.")
            await self.store.add_turn(session_id, "agent", text, turn_id=turn_id)

    async def answer(
        self, session_id: str, *, line_id: str | None = None
    ) -> AsyncGenerator[str, None]:
        """The customer's answer to what is unanswered, a sentence at a time, then kept.

        When this is broken off, what was shown is kept and marked as partial; when nothing was
        shown, the message stays unanswered and can be answered later.

        Raises:
            BackendError: when the model fails. Nothing is lost.
        """
        async with self._lock(session_id):
            view = await self.view(session_id)
            if not view.waits_for_customer:
                return
            persona = await self.persona_of(view.session)
            state, direction = direct(persona, view.state, *self._heard(view, persona))
            spoken = actor.Spoken()
            whole = False
            try:
                async with aclosing(self._speak(view, persona, state, direction, spoken)) as line:
                    async for sentence in line:
                        yield sentence
                whole = not spoken.broken_off
            finally:
                if spoken.text:
                    # Shielded, so that a stop in mid-line still finds its way to the disk.
                    await asyncio.shield(
                        self._keep_line(view, line_id, spoken, state, direction, partial=not whole)
                    )
        self._read_in_background(session_id)

    def _heard(self, view: View, persona: Persona) -> tuple[Exchange, Found]:
        """The agent's unanswered words as the customer hears them, and the cues in them."""
        last = max((t.number for t in view.turns if t.role == "customer"), default=-1)
        messages = [
            self.hearing.hear(t.text, persona.language) for t in view.turns if t.number > last
        ]
        exchange = Exchange(
            reply="\n".join(one.text for one in messages if one.text),
            heard=tuple(t.text for t in view.turns if t.role == "customer"),
            customer_name=persona.name,
        )
        odd = next((one.odd for one in messages if one.odd), None)
        return exchange, self.hearing.cues(exchange, None if exchange.reply else odd)

    def _speak(
        self,
        view: View,
        persona: Persona,
        state: CustomerState,
        direction: Direction,
        spoken: actor.Spoken,
    ) -> AsyncGenerator[str, None]:
        chat = [
            actor.Said(turn.role, self.hearing.hear(turn.text, persona.language).as_seen)
            if turn.role == "agent"
            else actor.Said(turn.role, turn.text, turn.bracket or "")
            for turn in view.turns[1:]
        ]
        samples = [turn for sample in persona.samples for turn in sample.turns]
        context = GuardContext(
            persona=persona,
            mood=state.mood,
            released=state.released,
            said=tuple(turn.text for turn in view.turns if turn.role == "customer"),
            heard=tuple(turn.text for turn in view.turns if turn.role == "agent"),
            samples=tuple(turn.customer for turn in samples if turn.customer),
            asked=asks_for_something(view.turns[-1].text, state.cues),
            voice=self.hearing.voice(persona.language),
        )
        seed = (view.session.seed + 101 * len(view.turns)) % 2**31
        return actor.speak(self.backend, persona, chat, direction, context, spoken, seed=seed)

    async def _keep_line(
        self,
        view: View,
        line_id: str | None,
        spoken: actor.Spoken,
        state: CustomerState,
        direction: Direction,
        *,
        partial: bool,
    ) -> None:
        await self.store.add_turn(
            view.session.id,
            "customer",
            spoken.text,
            turn_id=line_id,
            bracket=actor.bracket(direction),
            state=state.model_dump_json(),
            source=spoken.source,
            rejected=spoken.rejected,
            partial=partial,
            heard=view.turns[-1].number,
        )
        if state.ended:
            await self.store.set_status(view.session.id, "over")

    async def _settled_view(self, session_id: str) -> View:
        """The view; when all was cut off right after the last line, that still ends the session.

        The caller holds the lock.
        """
        view = await self.view(session_id)
        if view.state.ended and view.session.status == "talking":
            await self.store.set_status(session_id, "over")
            return await self.view(session_id)
        return view

    async def forget(self, *session_ids: str) -> None:
        """Delete sessions with everything that belongs to them.

        Raises:
            WarmlineError: if the database cannot be changed now, or not without a trace.
        """
        async with AsyncExitStack() as held:
            sessions = []
            # In one order for everybody, so that two who delete never wait for each other.
            for session_id in sorted(session_ids):
                await held.enter_async_context(self._lock(session_id))
                await self._stop_background(session_id)
                with contextlib.suppress(NotFound):
                    sessions.append(await self.store.session(session_id))
            await forget(self.store, sessions, self.store.database.file.parent)

    # Grading

    async def finish(self, session_id: str) -> AsyncGenerator[Looking | StoredGrade, None]:
        """End the conversation and grade it: each step being looked at, and last the grade.

        A session that has its grade gets the same one again.

        Raises:
            NotGraded: with the reason. The session is kept and can be graded again.
        """
        async with self._lock(session_id):
            # Within the lock: an answer that just ended has started the reading again.
            await self._stop_background(session_id)
            view = await self._settled_view(session_id)
            if view.session.status == "graded":
                stored = await self.store.grade(session_id)
                assert stored is not None
                yield stored
                return
            try:
                async with aclosing(self._grade(view)) as steps:
                    async for step in steps:
                        yield step
            except TooLittle as error:
                if view.session.status == "talking":
                    raise
                raise TooLittle(
                    "Not graded: the conversation ended before there was enough to judge. "
                    "Start a new practice and try this customer again."
                ) from error
            except NotGraded:
                await self.store.set_status(session_id, "not_graded")
                raise

    async def _grade(self, view: View) -> AsyncGenerator[Looking | StoredGrade, None]:
        session = view.session
        persona = await self.persona_of(session)
        rubric = await self.rubric_of(session)
        transcript = await self.store.transcript(session.id, persona.name)
        grader = await self._grader(rubric)
        async for step in grader.grade(transcript, asks_for_no=persona.asks_for_no):
            if isinstance(step, Looking):
                yield step
                continue
            yield Looking(len(rubric.item.steps), len(rubric.item.steps), "Your coaching")
            coached = await coaching.coach(
                self.backend,
                step,
                rubric.item,
                await grader.readings(transcript),
                transcript,
                persona,
                seed=session.seed % 2**31,
            )
            grade = step.model_copy(update={"persona_hash": session.persona_hash})
            await self.store.add_grade(
                session.id,
                grade.model_dump(mode="json"),
                coached.model_dump(mode="json"),
                standing(grade, rubric.item),
            )
            stored = await self.store.grade(session.id)
            assert stored is not None
            yield stored

    async def _grader(self, rubric: Entry[Rubric]) -> Grader:
        book = StoreBook(self.store)
        return await grader_for(self.store, self.judge, rubric, book, ask_all=self.ask_all)

    def _read_in_background(self, session_id: str) -> None:
        """Let the grader read the replies so far while the trainee reads and types."""

        async def work() -> None:
            view = await self.view(session_id)
            persona = await self.persona_of(view.session)
            transcript = await self.store.transcript(session_id, persona.name)
            grader = await self._grader(await self.rubric_of(view.session))
            for turn in transcript.agent_turns():
                await grader.read_turn(transcript, turn)
            await grader.prepare()

        if (running := self._background.get(session_id)) and not running.done():
            running.cancel()
        self._in_background(session_id, work)

    def _in_background(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            try:
                await work()
            except BackendError as error:
                # It is asked again at Finish, where the trainee is told if it fails again.
                log.warning("background work stopped: %s", type(error).__name__)

        task = asyncio.create_task(run(), name=name)
        self._background[name] = task
        task.add_done_callback(lambda done: self._forget(name, done))

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        if self._background.get(name) is task:
            del self._background[name]
        if not task.cancelled() and (error := task.exception()):
            log.error("background work failed: %s", type(error).__name__)

    async def _stop_background(self, session_id: str) -> None:
        if task := self._background.get(session_id):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _lock(self, session_id: str) -> asyncio.Lock:
        return self._locks.setdefault(session_id, asyncio.Lock())


async def make_practice(
    settings: Settings, store: Store, library: Library, backend: Backend
) -> Practice:
    """The practice room as the settings want it.

    Raises:
        BackendError: if the settings name a decision model that does not answer.
    """
    judge = await make_judge(settings, backend)
    return Practice(store, library, backend, judge=judge, ask_all=settings.ask_checks == "always")
