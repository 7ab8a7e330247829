"""The form for a persona or a rubric, as the page shows it, made from the models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from warmline.customer.explain import CUE_WORDS, REACTED_TO
from warmline.detectors import SIGNALS
from warmline.livelibrary import MODELS, Kind
from warmline.traits import BORROWED
from warmline.web.studio_reading import NOTHING, fits, shown
from warmline.web.studio_shape import VARIANTS, Shape, shape, shapes
from warmline.web.studio_words import (
    BORROW_WORDS,
    CHOICES,
    SECTIONS,
    SIGNAL_WORDS,
    Section,
    Words,
)
from warmline.yamlfile import StrictModel

#: Stands in a template for the name of the item that is made of it.
HERE = "@@"


@dataclass(frozen=True)
class Option:
    """One answer to choose."""

    value: str
    label: str
    chosen: bool = False


@dataclass(frozen=True)
class Node:
    """One field on the page, or one item of a list.

    ``kind`` is its control, ``item`` for an item of a list, ``kept`` for what only the file can
    show. ``of`` names the template for a new item; ``variants`` what such an item can be.
    """

    name: str
    kind: str
    words: Words
    value: str = ""
    options: tuple[Option, ...] = ()
    children: tuple[Node, ...] = ()
    of: str = ""
    variants: tuple[str, ...] = ()
    moods: bool = False
    hint: str = ""
    label: str = ""
    number: int = 0
    key: str = ""


@dataclass(frozen=True)
class Around:
    """What else a form has to know: the moods there are, and the rubrics with their titles."""

    moods: tuple[str, ...] = ()
    rubrics: Mapping[str, str] = field(default_factory=dict)


def moods_of(values: Mapping[Any, Any]) -> tuple[str, ...]:
    """The names of the moods on a ladder, as far as there are any."""
    ladder = values.get("ladder")
    rungs = ladder if isinstance(ladder, list) else []
    names = [one.get("mood") for one in rungs if isinstance(one, dict)]
    return tuple(dict.fromkeys(one for one in names if isinstance(one, str) and one))


def form_of(
    kind: Kind, values: Mapping[Any, Any], around: Around
) -> list[tuple[Section, list[Node]]]:
    """The sections of the form, with what is in the file."""
    model = MODELS[kind]
    return [
        (
            section,
            [
                _node(shape(model, one), one, values.get(one, NOTHING), around)
                for one in section.fields
            ],
        )
        for section in SECTIONS[kind]
    ]


def templates_of(kind: Kind, around: Around) -> list[tuple[str, Node]]:
    """A new item of each list that there is, under the name of its template."""
    found: list[tuple[str, Node]] = []

    def look(model: type[StrictModel]) -> None:
        for one in shapes(model):
            if one.control in ("texts", "list"):
                for variant in _variants(one) or ("",):
                    node = _item(one, HERE, 0, NOTHING, around, variant)
                    found.append((f"{one.item}/{variant}" if variant else one.item, node))
            if one.model is not None:
                look(one.model)

    look(MODELS[kind])
    return found


def _variants(one: Shape) -> tuple[str, ...]:
    return tuple(VARIANTS.get(one.model, {})) if one.model else ()


def _node(one: Shape, name: str, value: Any, around: Around) -> Node:
    node = Node(name, one.control, one.words)
    if not fits(one, value):
        return replace(node, kind="kept")
    if one.control == "group":
        assert one.model is not None
        inner = value if isinstance(value, dict) else {}
        return replace(node, children=_children(one.model, f"{name}.", inner, around))
    if one.control in ("texts", "list"):
        items = value if isinstance(value, list) else []
        children = tuple(
            _item(one, f"{name}.{at}", at, item, around) for at, item in enumerate(items)
        )
        return replace(node, children=children, of=one.item, variants=_variants(one))
    if one.control == "ticks":
        return replace(node, options=_ticks(one, value if isinstance(value, list) else []))
    if one.control == "words":
        words = value if isinstance(value, list) else []
        return replace(node, value="\n".join(map(shown, words)))
    if one.control == "choice":
        options = tuple(_choices(one, shown(value), around))
        return replace(node, options=options, moods=one.words.way == "mood")
    default = one.owner.model_fields[one.field].default
    hint = shown(default) if one.control == "number" and not one.required else ""
    # A field of one line would lose where the others begin.
    several = one.control == "short" and "\n" in shown(value)
    return replace(node, kind="text" if several else one.control, value=shown(value), hint=hint)


def _children(
    model: type[StrictModel],
    prefix: str,
    values: Mapping[Any, Any],
    around: Around,
    only: Iterable[str] | None = None,
) -> tuple[Node, ...]:
    return tuple(
        _node(one, f"{prefix}{one.field}", values.get(one.field, NOTHING), around)
        for one in shapes(model)
        if only is None or one.field in only
    )


def _item(one: Shape, name: str, at: int, value: Any, around: Around, variant: str = "") -> Node:
    node = Node(name, "item", one.words, number=at + 1, key=name.rpartition(".")[2])
    if one.control == "texts":
        return replace(node, value=shown(value), of="text")
    assert one.model is not None
    values = value if isinstance(value, dict) else {}
    only: tuple[str, ...] | None = None
    for label, fields in VARIANTS.get(one.model, {}).items():
        if label == variant or (not variant and fields[0] in values):
            # Both at once is a mistake to be seen.
            only = (*(only or ()), *fields)
    return replace(
        node,
        children=_short_first(_children(one.model, f"{name}.", values, around, only)),
        of="fields",
        label=_label(values),
    )


def _short_first(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Short fields stand side by side, so they come together."""
    return tuple(sorted(nodes, key=lambda node: node.kind not in ("short", "choice", "number")))


def _label(values: Mapping[Any, Any]) -> str:
    """What tells an item from the others while it is folded."""
    for key in ("name", "mood", "id"):
        if isinstance(values.get(key), str):
            return str(values[key])
    return ""


def _ticks(one: Shape, value: list[Any]) -> tuple[Option, ...]:
    names: Mapping[str, str] = {
        "cues": CUE_WORDS,
        "heard": REACTED_TO,
        "signals": {name: SIGNAL_WORDS.get(name, name) for name in SIGNALS},
        "borrows": {name: BORROW_WORDS[name] for name in BORROWED},
    }[one.words.way]
    ticked = list(map(shown, value))
    known = sorted(names, key=lambda name: names[name])
    unknown = [name for name in dict.fromkeys(ticked) if name not in names]
    return tuple(
        Option(name, names.get(name, f"{name} (not known)"), name in ticked)
        for name in known + unknown
    )


def _choices(one: Shape, value: str, around: Around) -> Iterable[Option]:
    labels: Mapping[str, str]
    if one.words.way == "mood":
        labels = {mood: mood for mood in around.moods}
    elif one.words.way == "rubric":
        labels = around.rubrics
    elif one.words.way == "cue":
        labels = dict(sorted(CUE_WORDS.items(), key=lambda pair: pair[1]))
    else:
        labels = {name: CHOICES[name] for name in one.options}
    default = shown(one.owner.model_fields[one.field].default) if not one.required else ""
    if one.required:
        if not value:
            yield Option("", "choose", True)
    elif value != default or not value:
        # Left out of the file, it means this.
        yield Option("", labels.get(default, default) if default else "left open", not value)
    for name, label in labels.items():
        if name != default or value == default:
            yield Option(name, label, name == value)
    if value and value not in labels:
        yield Option(value, f"{value} (not known)", True)
