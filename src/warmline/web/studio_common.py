"""What the pages of the trainer's studio share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from warmline.accounts import Who
from warmline.errors import Problem
from warmline.livelibrary import MODELS, Kind, is_id
from warmline.studio import Opened, Studio
from warmline.web import runtime
from warmline.web.templating import day_of

#: Fields of a form, at most. A rubric of twenty long steps has some two thousand.
MOST_FIELDS = 10_000


def _kind(kind: str) -> Kind:
    for one in MODELS:
        if one == kind:
            return one
    raise HTTPException(404, "There is no such page.")


def _item(item_id: str) -> str:
    if not is_id(item_id):
        raise HTTPException(404, "There is nothing of that name here.")
    return item_id


#: The two parts of the path of a persona or rubric; anything else is no page.
AKind = Annotated[Kind, Depends(_kind)]
AnId = Annotated[str, Depends(_item)]


def studio() -> Studio:
    """The running server's studio."""
    return runtime.current().studio


def path_of(kind: Kind, item_id: str) -> str:
    """The address of the page on which something is edited."""
    return f"/studio/{kind}/{item_id}"


def moment(at: str) -> str:
    """When something was done, in plain words."""
    return f"{day_of(at)}, {at[11:16]} UTC" if at else ""


def state_words(opened: Opened, who: Who) -> str:
    """Where something stands: published, or a draft of whom and since when."""
    if not opened.is_draft:
        held = studio().library.now()
        if opened.item_id not in (held.personas if opened.kind == "persona" else held.rubrics):
            return "In its folder, and not offered to anybody until it is mended."
        return "Published. What you change becomes a draft first."
    by = "you" if opened.draft.by == who.user.identifier else opened.draft.by or "somebody"
    seen = (
        "Trainees see what was published before."
        if opened.disk is not None
        else "It was not published yet."
    )
    return f"Draft, saved {moment(opened.draft.saved_at)} by {by}. {seen}"


def wants_json(request: Request) -> bool:
    """Whether a program of ours asks, and no page is to be shown."""
    return "application/json" in request.headers.get("accept", "")


@dataclass(frozen=True)
class Shown:
    """A problem as the page shows it; ``at`` is its field's name on the form, or empty."""

    at: str
    line: int
    field: str
    message: str

    @property
    def words(self) -> str:
        """As ``warmline check`` says it, after the file and the line."""
        return f"{self.field}: {self.message}" if self.field else self.message


def placed(problems: Sequence[Problem], names: Collection[str], opened: Opened) -> list[Shown]:
    """Problems at the fields that are on the page, or at the nearest part around them."""
    found = []
    for one in problems:
        # What it would break in another file stands at no field of this one.
        own = one.file == opened.file
        at = one.field if own else ""
        while at and at not in names:
            at = at.rpartition(".")[0]
        message = one.message if own else f"{one.message} (in {one.file.name})"
        found.append(Shown(at, one.line if own else 0, one.field, message))
    return found
