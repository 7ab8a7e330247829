"""One piece of advice: where, and in which words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from warmline.yamlfile import FieldPath, dotted


@dataclass(frozen=True)
class Advice:
    """Something that will not work although the file is valid: the field, and what to do."""

    path: FieldPath
    message: str

    @property
    def field(self) -> str:
        """The path as it is written in problems: ``facts.0.says``."""
        return dotted(self.path)


def in_order(found: Iterable[Advice], model: type[BaseModel]) -> list[Advice]:
    """The same advice, sorted as the fields stand in the file; each once."""
    places = {name: place for place, name in enumerate(model.model_fields)}

    def key(one: Advice) -> tuple[int, Sequence[tuple[int, int, str]]]:
        rest = [(0, part, "") if isinstance(part, int) else (1, 0, part) for part in one.path[1:]]
        return places.get(str(one.path[0]) if one.path else "", -1), rest

    return sorted(dict.fromkeys(found), key=key)


def listed(words: Iterable[str]) -> str:
    """Words in a row: ``a, b or c``."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
