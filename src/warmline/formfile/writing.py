"""New lines of YAML, for values that were not there before."""

from __future__ import annotations

from typing import Any

from warmline.formfile import scalar

#: How much further to the right a level of new lines stands.
STEP = 2


def in_brackets(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        fields = (f"{scalar.new_scalar(key)}: {in_brackets(one)}" for key, one in value.items())
        return "{" + ", ".join(fields) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(in_brackets, value)) + "]"
    return scalar.new_scalar(value)


def is_long(items: list[Any]) -> bool:
    """Whether items are too long for one line between brackets."""
    return any(
        isinstance(one, (list, dict))
        or (isinstance(one, str) and (len(one) > scalar.SHORT or "\n" in one))
        for one in items
    )


def lines(value: Any, column: int, *, key: bool) -> str:
    """What comes after a key's colon or a dash at a column: a value, ending in a line break."""
    inner = column + STEP
    pad = " " * inner
    if isinstance(value, dict) and value:
        if key and len(value) == 1 and not isinstance(next(iter(value.values())), (list, dict)):
            return f" {in_brackets(value)}\n"
        fields = [
            f"{scalar.new_scalar(name)}:" + lines(one, inner, key=True)
            for name, one in value.items()
        ]
        return (f"\n{pad}" if key else " ") + pad.join(fields)
    if isinstance(value, list) and value and (is_long(value) or not key):
        items = ["-" + lines(one, inner, key=False) for one in value]
        return (f"\n{pad}" if key else " ") + pad.join(items)
    if isinstance(value, (list, dict)):
        return f" {in_brackets(value)}\n"
    if isinstance(value, str):
        header = "|" if "\n" in value else ">" if len(value) > scalar.WIDTH and key else ""
        if header and (written := scalar.block(value, header, [], inner)):
            return f" {written}"
    return f" {scalar.new_scalar(value)}\n"
