"""What was typed in the form, as values for the file.

The names on the form are the paths in the file, with a key for each item of a list: its number in
the text that the page was made from, or one beginning with ``n`` where it is new. What was not
touched keeps the very value that it has in that text, so that only what was changed changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from warmline.livelibrary import MODELS, Kind
from warmline.web.studio_shape import Shape, shapes
from warmline.yamlfile import StrictModel

#: Where there is no value.
NOTHING: Any = object()

_KEY = re.compile(r"[0-9]{1,4}|n[0-9]{1,6}")
_WHOLE = re.compile(r"-?[0-9]{1,9}")
_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")
_DO = re.compile(r"(add|up|down|remove):([\w.#-]{1,200})(?:/([\w' ]{1,40}))?")


@dataclass
class Typed:
    """The values, and what each place in them is called on the form."""

    values: dict[Any, Any]
    names: dict[str, str] = field(default_factory=dict)


def shown(value: Any) -> str:
    """A single value as it stands in a field."""
    if value is NOTHING or value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return lines_of(str(value))


def lines_of(text: str) -> str:
    """A text as browsers send it, with one character for the end of a line."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_single(value: Any) -> bool:
    """Whether a value can stand in one field."""
    return not isinstance(value, (dict, list))


def fits(shape: Shape, value: Any) -> bool:
    """Whether the form can show a value for this field; else it stays as it is in the file."""
    if value is NOTHING:
        return True
    if shape.control == "group":
        return isinstance(value, dict)
    if shape.control == "list":
        return isinstance(value, list) and all(isinstance(one, dict) for one in value)
    if shape.control == "ticks":
        # An empty one cannot be ticked.
        return isinstance(value, list) and all(is_single(one) and shown(one) for one in value)
    if shape.control in ("texts", "words"):
        return isinstance(value, list) and all(is_single(one) for one in value)
    if shape.control == "tick":
        return isinstance(value, bool)
    return is_single(value)


def read_form(kind: Kind, pairs: Iterable[tuple[str, str]], base: dict[Any, Any]) -> Typed:
    """The values of a form that was made from ``base``."""
    sent: dict[str, list[str]] = {}
    for name, value in pairs:
        sent.setdefault(name, []).append(lines_of(value))
    typed = Typed({})
    typed.values = _group(MODELS[kind], "", "", base, sent, typed.names)
    return typed


def _group(
    model: type[StrictModel],
    name: str,
    path: str,
    base: dict[Any, Any],
    sent: dict[str, list[str]],
    names: dict[str, str],
) -> dict[Any, Any]:
    values: dict[Any, Any] = {}
    for one in shapes(model):
        here, at = f"{name}{one.field}", f"{path}{one.field}"
        names[at] = here
        before = base.get(one.field, NOTHING)
        value = before
        if fits(one, before):
            value = _value(one, here, at, before, sent, names)
        if value is not NOTHING:
            values[one.field] = value
    return values | {key: one for key, one in base.items() if key not in model.model_fields}


def _value(
    shape: Shape,
    name: str,
    path: str,
    before: Any,
    sent: dict[str, list[str]],
    names: dict[str, str],
) -> Any:
    if shape.control == "group":
        assert shape.model is not None
        old = before if isinstance(before, dict) else {}
        value = _group(shape.model, f"{name}.", f"{path}.", old, sent, names)
        return value if value or before is not NOTHING else NOTHING
    if shape.control in ("list", "texts"):
        return _items(shape, name, path, before, sent, names)
    if name not in sent or shape.control == "fixed":
        return before
    if shape.control == "ticks":
        return _ticked(shape, before, sent[name])
    if shape.control == "words":
        return _words(shape, before, sent[name][-1])
    if shape.control == "tick":
        ticked = sent[name][-1] == "yes"
        return before if before is NOTHING and not ticked else ticked
    return _single(shape, before, sent[name][-1])


def _single(shape: Shape, before: Any, typed: str) -> Any:
    if typed == shown(before):
        return before
    if not typed:
        keeps = shape.required and shape.control in ("short", "text") and before is not NOTHING
        return "" if keeps else NOTHING
    if shape.control == "number":
        if _WHOLE.fullmatch(typed.strip()) and shape.whole:
            return int(typed)
        if _NUMBER.fullmatch(typed.strip()):
            return float(typed)
    return typed


def _items(
    shape: Shape,
    name: str,
    path: str,
    before: Any,
    sent: dict[str, list[str]],
    names: dict[str, str],
) -> Any:
    old = before if isinstance(before, list) else []
    # Without the mark, the list was not on the page.
    if f"{name}.#" not in sent:
        return before
    items: list[Any] = []
    for key in sent[f"{name}.#"]:
        if not _KEY.fullmatch(key):
            continue
        at = f"{path}.{len(items)}"
        names[at] = f"{name}.{key}"
        known = old[int(key)] if key.isdigit() and int(key) < len(old) else NOTHING
        if shape.control == "list":
            assert shape.model is not None
            one = known if isinstance(known, dict) else {}
            items.append(_group(shape.model, f"{name}.{key}.", f"{at}.", one, sent, names))
        else:
            typed = sent.get(f"{name}.{key}", [""])[-1]
            items.append(known if known is not NOTHING and typed == shown(known) else typed)
    return NOTHING if before is NOTHING and not items else items


def _ticked(shape: Shape, before: Any, sent: list[str]) -> Any:
    old = before if isinstance(before, list) else []
    ticked = [one for one in sent if one]
    kept = [one for one in old if shown(one) in ticked]
    was = {shown(one) for one in old}
    now = kept + [one for one in dict.fromkeys(ticked) if one not in was]
    return NOTHING if not now and before is NOTHING else now


def _words(shape: Shape, before: Any, typed: str) -> Any:
    old = before if isinstance(before, list) else []
    if typed == "\n".join(map(shown, old)):
        return before
    words = [one.strip() for one in typed.split("\n") if one.strip()]
    return words if words or shape.required else NOTHING


def done(pairs: list[tuple[str, str]], what: str) -> tuple[list[tuple[str, str]], str]:
    """The form after a button for an item of a list, and the name of what to look at then.

    ``what`` is ``add:LIST``, with ``/VARIANT`` where there are some, or ``up:``, ``down:`` or
    ``remove:`` with an item.
    """
    found = _DO.fullmatch(what)
    if found is None:
        return pairs, ""
    action, name, variant = found[1], found[2], found[3]
    if action == "add":
        keys = [value for one, value in pairs if one == f"{name}.#" and _KEY.fullmatch(value)]
        newest = max((int(key[1:]) for key in keys if key.startswith("n")), default=0)
        key = f"n{newest + 1}"
        fields = {"the agent's": "agent", "the customer's": "customer"}
        extra = [(f"{name}.{key}.{fields[variant]}", "")] if variant in fields else []
        return [*pairs, (f"{name}.#", key), *extra], f"{name}.{len(keys)}"
    parent, _, key = name.rpartition(".")
    mark = f"{parent}.#"
    places = [number for number, (one, value) in enumerate(pairs) if one == mark and value]
    at = next((n for n, place in enumerate(places) if pairs[place][1] == key), None)
    if at is None:
        return pairs, ""
    pairs = list(pairs)
    if action == "remove":
        del pairs[places[at]]
        return pairs, parent
    other = at + (1 if action == "down" else -1)
    if 0 <= other < len(places):
        here, there = places[at], places[other]
        pairs[here], pairs[there] = pairs[there], pairs[here]
        at = other
    return pairs, f"{parent}.{at}"
