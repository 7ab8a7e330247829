"""A new customer from a short interview: the questions, and waiting while lines are drafted."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from warmline.accounts import Who
from warmline.customer.explain import CUE_WORDS
from warmline.drafting import QUESTIONS, Drafting
from warmline.drafts import Overtaken
from warmline.errors import FileProblems, WarmlineError
from warmline.formfile import edited
from warmline.interview import Answers, Drafted, merged, persona_values, read_answers
from warmline.report import DIFFICULTY_WORDS
from warmline.studio import skeleton
from warmline.trying.jobs import Job
from warmline.web import runtime
from warmline.web.access import who_of
from warmline.web.studio_common import AnId, path_of, studio
from warmline.web.templating import render
from warmline.yamlfile import read_values

router = APIRouter()

#: Seconds until the page that waits asks again.
_AGAIN_S = 2
#: How often lines are put in anew where somebody saves in the same moment.
_TRIES = 5
LANGUAGE = "en"

#: What softens most people, ticked to begin with.
USUAL = ("acknowledges_feeling", "takes_ownership", "concrete_step")
#: What no trainer would choose as a help.
HARMS = frozenset(
    {
        "blames", "curt", "deflects", "hard_to_follow", "interrogates", "minimises",
        "orders_the_model", "rude", "stock_phrase", "talks_of_self",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """One question of the interview; ``rows`` is the height of its field, 1 for a single line."""

    name: str
    label: str
    help: str
    rows: int = 1


#: In the order in which a trainer thinks of somebody.
QUESTIONS_ASKED = (
    (
        "Who are they?",
        (
            Question("name", "Their name", "First name and surname."),
            Question("title", "What it is about, in a few words", "Such as: Charged twice."),
            Question("sector", "Sector", "Such as retail, travel, health."),
            Question("who", "Who are they?", "Age, work, family: as you would describe them.", 3),
            Question("voice", "How do they write?", "Long or short; which words.", 2),
        ),
    ),
    (
        "What happened?",
        (
            Question("happened", "What happened?", "The agent is told this too.", 4),
            Question("record", "What can the agent see?", "Each entry on a line of its own.", 4),
        ),
    ),
    (
        "What do they feel, and why?",
        (
            Question("start", "How do they feel when they write?", "Such as: let down."),
            Question("worst", "And if it goes badly?", "Such as: furious, about to leave."),
            Question("trusting", "When they begin to trust?", "Such as: a little calmer."),
            Question("best", "And when it has gone well?", "Such as: relieved."),
            Question("why", "Why do they feel so?", "What makes it hard for them.", 3),
            Question("wants", "What do they want?", "And what they need, if that differs.", 2),
        ),
    ),
    (
        "What do they not say?",
        (
            Question(
                "hides",
                "What do they only tell once they feel heard? (may be left empty)",
                "In their own words, each on a line of its own.",
                3,
            ),
            Question(
                "asked",
                "What do they only tell when asked? (may be left empty)",
                "A line each: what one has to ask about, a colon, their words. Such as: "
                "heating, keep warm: I only have one small fire.",
                3,
            ),
        ),
    ),
    (
        "What may the agent do?",
        (
            Question("may", "What may the agent do?", "Each on a line of its own.", 4),
            Question("may_not", "What may the agent not do?", "Each on a line of its own.", 3),
        ),
    ),
)


@router.get("/studio/interview")
async def questions(request: Request) -> Response:
    """The interview."""
    return _asked(request, {}, USUAL, [])


def _asked(
    request: Request,
    typed: dict[str, str],
    softens: tuple[str, ...],
    problems: list[tuple[str, str]],
) -> Response:
    at: dict[str, list[str]] = defaultdict(list)
    for name, message in problems:
        at[name].append(message)
    return render(
        request,
        "interview.html",
        422 if problems else 200,
        parts=QUESTIONS_ASKED,
        typed=defaultdict(str, typed),
        softens=softens,
        cues=[(cue, words) for cue, words in CUE_WORDS.items() if cue not in HARMS],
        at=at,
        wrong=len(at),
        labels=[
            *((one.name, one.label) for _, part in QUESTIONS_ASKED for one in part),
            ("softens", "What would soften them?"),
            ("difficulty", "How hard are they to help?"),
        ],
        difficulties=DIFFICULTY_WORDS,
    )


@router.post("/studio/interview")
async def answered(request: Request) -> Response:
    """Keep what was answered as a draft, and let the model write lines for it."""
    form = await request.form()
    who = who_of(request.scope)
    typed = {
        name: value.replace("\r\n", "\n") for name, value in form.items() if isinstance(value, str)
    }
    softens = tuple(one for one in form.getlist("softens") if isinstance(one, str))
    try:
        answers = read_answers(typed, softens)
        draft = await studio().begin(
            "persona",
            f"{answers.name} {answers.title}",
            _text(answers, Drafted()),
            user_id=who.user.id,
        )
    except FileProblems as error:
        found = [(one.field.partition(".")[0], one.message) for one in error.problems]
        return _asked(request, typed, softens, found)
    except WarmlineError as error:
        return _asked(request, typed, softens, [("name", str(error))])
    _write(answers, draft.item_id, who)
    return RedirectResponse(f"/studio/interview/{draft.item_id}", 303)


def _text(answers: Answers, drafted: Drafted) -> str:
    """The file of a new customer; its id is put in by the studio."""
    return edited(skeleton("persona"), {"id": "new-customer", **persona_values(answers, drafted)})


def _write(answers: Answers, item_id: str, who: Who) -> None:
    """Let the model write lines in the background, and put them into the draft."""
    parts = runtime.current()

    async def work(drafting: Drafting) -> None:
        problems = []
        try:
            await drafting.run()
        except WarmlineError as error:
            problems.append(str(error))
        try:
            await _put_in(item_id, answers, drafting.drafted, who.user.id)
        except WarmlineError as error:
            problems.append(str(error))
        if problems:
            raise WarmlineError(" ".join(problems))

    drafting = Drafting(parts.backend, answers, parts.practice.hearing.voice(LANGUAGE))
    parts.tries.start(_key(item_id), drafting, work, user_id=who.user.id, by=who.user.identifier)


async def _put_in(item_id: str, answers: Answers, drafted: Drafted, user_id: str) -> None:
    """Put drafted lines where the draft still has none, whoever changed it meanwhile.

    Raises:
        WarmlineError: if there is no draft any more, or it cannot be kept.
    """
    without = persona_values(answers, Drafted())
    for attempt in range(_TRIES):
        opened = await studio().open("persona", item_id)
        if not opened.is_draft:
            raise WarmlineError(
                "The draft was published or discarded meanwhile; the lines were not put in."
            )
        now, _ = read_values(opened.text, opened.file)
        try:
            await studio().save(
                "persona",
                item_id,
                edited(opened.text, merged(now, without, persona_values(answers, drafted))),
                read=opened.revision,
                started_from=opened.started_from,
                user_id=user_id,
            )
            return
        except Overtaken:
            # Somebody types just now; once more, with what they typed.
            if attempt == _TRIES - 1:
                raise


def _key(item_id: str) -> tuple[str, str]:
    return "interview", item_id


def _job(item_id: str) -> Job[Drafting] | None:
    """The lines that are being written, or were last, for a draft."""
    return runtime.current().tries.of(_key(item_id))


@router.get("/studio/interview/{item_id}")
async def waiting(request: Request, item_id: AnId) -> Response:
    """How far the lines are; when they are there, the draft."""
    job = _job(item_id)
    if job is None or not (job.running or job.problem):
        return RedirectResponse(path_of("persona", item_id), 303)
    page = render(
        request,
        "interview_wait.html",
        item_id=item_id,
        customer=job.work.answers.name,
        running=job.running,
        asked=job.work.asked,
        of=QUESTIONS,
        problem=job.problem,
        lines=job.work.drafted.all(),
        small=runtime.current().backend.brief,
    )
    if job.running:
        page.headers["Refresh"] = str(_AGAIN_S)
    return page


@router.post("/studio/interview/{item_id}/again")
async def again(request: Request, item_id: AnId) -> Response:
    """Let the model try once more, for what is still empty in the draft."""
    job = _job(item_id)
    if job is None:
        raise HTTPException(404, "The answers are not here any more. Edit the draft itself.")
    if not job.running:
        _write(job.work.answers, item_id, who_of(request.scope))
    return RedirectResponse(f"/studio/interview/{item_id}", 303)
