"""What somebody is to practise, in the words in which the chat and the pages show it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from warmline.errors import WarmlineError
from warmline.plans import Assignment, Plan, Work, day_of, today
from warmline.store import StoredSession
from warmline.web import runtime
from warmline.web.runtime import Wish
from warmline.web.templating import day_words

#: What it means to hand a session in, before one does.
MEANS = (
    "What you hand in, your coaches can read with its feedback, and it counts as a try. You cannot "
    "take that back."
)

#: So many assignments are shown above the customers; the rest stand on a page of their own.
_FIRST = 6


def due_words(plan: Plan, now: date, *, still_open: bool = False) -> str:
    """When it is due; of a day that is over, with ``still_open``, that it can still be done."""
    due = date.fromisoformat(plan.due_on)
    if due == now:
        return "due today"
    if due == now + timedelta(days=1):
        return "due tomorrow"
    if due > now:
        return f"due {day_words(due, now)}"
    return f"was due {day_words(due, now)}{', still open' if still_open else ''}"


def tries_words(work: Work) -> str:
    """How many tries are left."""
    left, all_of_them = work.tries_left, work.assignment.tries
    if left is None:
        return "as many tries as you like"
    if left == 0:
        return "no tries left"
    return f"{left} of {all_of_them} tries left" if left != all_of_them else _tries(left)


def _tries(count: int) -> str:
    return "1 try" if count == 1 else f"{count} tries"


def customer(persona_id: str) -> tuple[str, str]:
    """The name and the title of a persona; its id, where it is not in the library any more."""
    entry = runtime.current().library.personas.get(persona_id)
    return (entry.item.name, entry.item.title) if entry else (persona_id, "not here any more")


def playable(assignment: Assignment) -> bool:
    """Whether its customer and its rubric are still in the library."""
    library = runtime.current().library
    return assignment.persona_id in library.personas and assignment.rubric_id in library.rubrics


async def startable(user_id: str, assignment_id: str) -> Assignment:
    """An assignment of somebody's that can be practised now.

    Raises:
        NotFound: if it is not theirs, or was withdrawn.
        WarmlineError: if its customer or rubric is not in the library any more.
    """
    found = await runtime.current().assignments.assigned_to(user_id, assignment_id)
    if not playable(found):
        raise WarmlineError(
            "The customer or the rubric of this assignment is not here any more. Tell your coach; "
            "until then, choose any other customer."
        )
    return found


async def again(session: StoredSession) -> Wish:
    """The same customer once more, for the same assignment as long as that stands.

    Raises:
        NotFound: if the customer is not in the library any more.
    """
    if session.assignment_id:
        try:
            found = await startable(session.user_id, session.assignment_id)
            return Wish(found.persona_id, found.id)
        except WarmlineError:
            # What was assigned is over; practising goes on.
            pass
    if session.draft:
        return Wish(session.persona_id, draft=True)
    return Wish(runtime.current().library.persona(session.persona_id).item.id)


async def due_first(user_id: str) -> list[dict[str, Any]]:
    """What is open for somebody, the first due first, as the chat shows it above the customers."""
    now = today()
    works = await runtime.current().assignments.of_trainee(user_id)
    cards = []
    for work in [one for one in works if one.open][:_FIRST]:
        assignment = work.assignment
        name, title = customer(assignment.persona_id)
        cards.append(
            {
                "id": assignment.id,
                "name": name,
                "title": title,
                "due": due_words(assignment, now, still_open=True),
                "tries": tries_words(work),
                "pass_mark": assignment.pass_mark,
                "coach": assignment.coach,
                "note": assignment.note,
                "playable": playable(assignment),
            }
        )
    return cards


async def of_card(session: StoredSession) -> dict[str, Any] | None:
    """What a report card says of the assignment that its session was practised for."""
    if session.assignment_id is None:
        return None
    work = await runtime.current().assignments.work_for(session.user_id, session.assignment_id)
    if work is None:
        return None
    now = today()
    assignment = work.assignment
    mine = next((one for one in work.tries if one.session_id == session.id), None)
    words = (
        f"{assignment.coach} asked for this one, {due_words(assignment, now)}. The mark to reach "
        f"for it is {assignment.pass_mark}."
    )
    label, state = None, ""
    if mine and mine.handed_in_at:
        day = day_words(day_of(mine.handed_in_at), now)
        late = ", after the day it was due" if assignment.is_late(mine.handed_in_at) else ""
        reached = "It passes." if mine.passes(assignment.pass_mark) else "It does not pass yet."
        state = f"Handed in on {day}{late}. {reached}"
    elif assignment.withdrawn_at:
        state = "The assignment was withdrawn; this conversation stays your own practice."
    elif work.tries_left == 0:
        state = "You have handed in all your tries; this conversation stays your own practice."
    else:
        label = hand_in_words(work)
    return {
        "id": assignment.id,
        "words": words,
        "label": label,
        "means": MEANS,
        "state": state,
    }


async def of_desk(session: StoredSession) -> dict[str, Any] | None:
    """What a coach reads of the assignment that a session was practised for.

    None where there was none. It tells the result: for those only who have seen the grade.
    """
    if session.assignment_id is None:
        return None
    work = await runtime.current().assignments.work_for(session.user_id, session.assignment_id)
    mine = next((one for one in work.tries if one.session_id == session.id), None) if work else None
    if work is None or mine is None:
        return None
    assignment = work.assignment
    now = today()
    if mine.handed_in_at:
        late = ", late" if assignment.is_late(mine.handed_in_at) else ", in time"
        state = f"Handed in on {day_words(day_of(mine.handed_in_at), now)}{late}."
    else:
        state = "Not handed in."
    return {
        "coach": assignment.coach,
        "due": due_words(assignment, now),
        "pass_mark": assignment.pass_mark,
        "passed": mine.passes(assignment.pass_mark),
        "state": state,
        "withdrawn": assignment.withdrawn_at is not None,
    }


def hand_in_words(work: Work) -> str:
    """What the button says that hands a try in."""
    number, tries = len(work.handed_in) + 1, work.assignment.tries
    return f"Hand in this try ({number} of {tries})" if tries else "Hand in this try"
