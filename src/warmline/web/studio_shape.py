"""Which kind of control a field of a model is filled in with, read off the model itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from warmline.persona import SampleTurn
from warmline.web.studio_words import FIELDS, Words
from warmline.yamlfile import StrictModel

Control = Literal[
    "fixed", "short", "text", "number", "tick", "choice", "ticks", "words", "group", "texts", "list"
]

#: Items of a list that come in more than one form: the fields of each, by what it is called.
VARIANTS: dict[type[StrictModel], dict[str, tuple[str, ...]]] = {
    SampleTurn: {"the agent's": ("agent",), "the customer's": ("customer", "mood")}
}


@dataclass(frozen=True)
class Shape:
    """One field of a model, and how it is filled in.

    ``model`` is that of a group, or of the items of a list; ``whole`` whether a number is a whole
    one.
    """

    field: str
    owner: type[StrictModel]
    control: Control
    words: Words
    required: bool
    model: type[StrictModel] | None = None
    options: tuple[str, ...] = ()
    whole: bool = True

    @property
    def item(self) -> str:
        """What the template of a new item is called."""
        return f"{self.owner.__name__}-{self.field}"


@cache
def shapes(model: type[StrictModel]) -> tuple[Shape, ...]:
    """The fields of a model, in its order."""
    found = []
    for name, field in model.model_fields.items():
        words = FIELDS[model][name]
        kind, of, options, whole = _control(_bare(field.annotation), words)
        found.append(Shape(name, model, kind, words, field.is_required(), of, options, whole))
    return tuple(found)


def shape(model: type[StrictModel], field: str) -> Shape:
    """One field of a model."""
    return next(one for one in shapes(model) if one.field == field)


def _control(
    type_: Any, words: Words
) -> tuple[Control, type[StrictModel] | None, tuple[str, ...], bool]:
    if words.way in ("fixed", "short", "words"):
        return words.way, None, (), True
    if words.way in ("mood", "rubric", "cue"):
        return "choice", None, (), True
    if words.way:
        return "ticks", None, (), True
    if get_origin(type_) is list:
        item = _bare(get_args(type_)[0])
        if item is str:
            return "texts", None, (), True
        assert issubclass(item, StrictModel)
        return "list", item, (), True
    if get_origin(type_) is Literal:
        return "choice", None, get_args(type_), True
    if type_ is bool:
        return "tick", None, (), True
    if type_ in (int, float):
        return "number", None, (), type_ is int
    if type_ is str:
        return "text", None, (), True
    assert issubclass(type_, StrictModel)
    return "group", type_, (), True


def _bare(annotation: Any) -> Any:
    """A type without what is said about it, and without None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _bare(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return _bare(next(one for one in get_args(annotation) if one is not NoneType))
    return annotation
