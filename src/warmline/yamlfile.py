"""Reading a YAML file that a person wrote into a strict model, with a line for every problem."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from warmline.errors import FileProblems, Problem

#: A file larger than this is refused unread: no persona or rubric comes near it.
LARGEST_FILE_BYTES = 512 * 1024

#: More values than this are in no file that somebody wrote. A short text can stand for millions,
#: by naming a part of itself again and again.
MOST_VALUES = 50_000
#: No more characters than this either, once everything stands where it is named.
MOST_CHARACTERS = 4 * LARGEST_FILE_BYTES

#: As many brackets may be open at once. The parser takes minutes over a file of nothing else.
MOST_BRACKETS = 20

FieldPath = tuple[str | int, ...]


class StrictModel(BaseModel):
    """The base of what people write: unknown fields and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


ModelT = TypeVar("ModelT", bound=StrictModel)


class RuleBroken(ValueError):
    """A rule between fields that does not hold. Raise it in a validator to point at a field."""

    def __init__(self, path: FieldPath, message: str) -> None:
        super().__init__(message)
        self.path = path


class RulesBroken(ValueError):
    """Several broken rules at once, so that an author sees all of them."""

    def __init__(self, rules: Sequence[RuleBroken]) -> None:
        super().__init__("; ".join(str(rule) for rule in rules))
        self.rules = tuple(rules)


@dataclass
class _Noted:
    """What was found on the way: the line (from 1) of every path, and how long all texts are."""

    lines: dict[FieldPath, int] = field(default_factory=dict)
    characters: int = 0


def _plain(node: Any, path: FieldPath, noted: _Noted) -> Any:
    """Turn ruamel's annotated tree into plain values.

    A short file can unfold to a huge one, by names for its parts (`&` and `*`).
    """
    lines = noted.lines
    if len(lines) > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES} values; write it shorter, without `*` and `&`")
    if isinstance(node, CommentedMap):
        plain: dict[Any, Any] = {}
        for key, value in node.items():
            here = (*path, key)
            # A key that a merge (`<<:`) brought in has no place of its own.
            position = node.lc.key(key)
            lines[here] = position[0] + 1 if position else node.lc.line + 1
            plain[key] = _plain(value, here, noted)
        return plain
    if isinstance(node, CommentedSeq):
        items = []
        for index, value in enumerate(node):
            here = (*path, index)
            position = node.lc.item(index) if node.lc.data else None
            lines[here] = position[0] + 1 if position else 1
            items.append(_plain(value, here, noted))
        return items
    if isinstance(node, str):
        noted.characters += len(node)
        if noted.characters > MOST_CHARACTERS:
            raise ValueError("too much text behind `*` and `&`; write it shorter, without them")
        return str(node)
    if isinstance(node, bool):
        return bool(node)
    if isinstance(node, int):
        return int(node)
    if isinstance(node, float):
        return float(node)
    return node


def _line_of(path: FieldPath, lines: Mapping[FieldPath, int]) -> int:
    """The line of a path, or of its nearest parent that stands in the file."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 1


def _words(error: Mapping[str, Any]) -> str:
    """Pydantic's message for one error, in words for an author."""
    kind = error["type"]
    given = error.get("input")
    if kind == "missing":
        return "this field is missing; add it"
    if kind == "extra_forbidden":
        return "no such field; check the spelling or remove it"
    if kind == "literal_error":
        return f"{given!r} is not one of {error['ctx']['expected']}"
    if kind.endswith("_type"):
        wanted = _TYPES.get(kind) or kind.removesuffix("_type").replace("_", " ")
        return f"expected {wanted}, found {given!r}"
    if kind == "string_pattern_mismatch" and error["loc"][-1] == "language":
        return "two small letters, such as en or de"
    if kind in _LIMITS:
        return _LIMITS[kind].format(**error["ctx"])
    message: str = error["msg"]
    return message[:1].lower() + message[1:]


#: What pydantic's types are called.
_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "fields with values",
    "model_type": "fields with values",
}
#: Its other words for what is not good, with what they are about in braces.
_LIMITS = {
    "string_too_short": "empty; write something here",
    "string_too_long": "too long; {max_length} characters at most",
    "too_short": "give at least {min_length}; there are {actual_length}",
    "too_long": "too many; {max_length} at most",
    "greater_than_equal": "too small; {ge} at least",
    "greater_than": "too small; more than {gt}",
    "less_than_equal": "too large; {le} at most",
    "string_pattern_mismatch": "only small letters and numbers, joined by hyphens",
}


def dotted(path: FieldPath) -> str:
    """A path as it is written in problems: ``facts.0.says``."""
    return ".".join(str(part) for part in path)


def problem_at(
    file: Path, path: FieldPath, message: str, lines: Mapping[FieldPath, int]
) -> Problem:
    """A problem with a field, with its line; ``lines`` is what ``read_values`` said."""
    return Problem(file, _line_of(path, lines), dotted(path), message)


def read_values(text: str, file: Path) -> tuple[dict[Any, Any], dict[FieldPath, int]]:
    """The plain values that stand in a YAML text, and the line (from 1) of each field.

    Raises:
        FileProblems: if it is not YAML, or not fields with values.
    """
    if line := _too_deep(text):
        message = f"more than {MOST_BRACKETS} brackets are open here; close them"
        raise FileProblems([Problem(file, line, "", message)])
    try:
        tree = YAML(typ="rt", pure=True).load(text)
        noted = _Noted()
        plain = _plain(tree, (), noted)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = (error.problem or "cannot be read").split("\n")[0]
        raise FileProblems(
            [Problem(file, line, "", f"not valid YAML: {problem}; check indents and quotes")]
        ) from error
    except Exception as error:  # the parser has many ways to trip over a broken file
        first = (str(error) or "unreadable").split("\n")[0]
        raise FileProblems([Problem(file, 1, "", f"not valid YAML: {first}")]) from error
    if not isinstance(tree, CommentedMap):
        raise FileProblems([Problem(file, 1, "", "expected fields such as `id:` and `title:`")])
    return plain, noted.lines


def _too_deep(text: str) -> int:
    """The line in which too many brackets are open; 0 if there is none."""
    depth = 0
    for found in re.finditer(r"[\[{\]}]", text):
        depth = depth + 1 if found[0] in "[{" else max(0, depth - 1)
        if depth > MOST_BRACKETS:
            return text.count("\n", 0, found.start()) + 1
    return 0


def parse_yaml(text: str, file: Path, model: type[ModelT]) -> ModelT:
    """Parse YAML text into ``model``.

    Raises:
        FileProblems: with the file, line and field of every problem.
    """
    plain, lines = read_values(text, file)
    try:
        return model.model_validate(plain)
    except ValidationError as error:
        raise FileProblems(problems_of(error, file, lines)) from error


def problems_of(
    error: ValidationError, file: Path, lines: Mapping[FieldPath, int]
) -> list[Problem]:
    """What a model finds wrong, in words for an author, with the lines of the fields."""
    problems = []
    for item in error.errors(include_url=False):
        base: FieldPath = tuple(item["loc"])
        cause = item.get("ctx", {}).get("error")
        broken: Sequence[RuleBroken] = ()
        if isinstance(cause, RulesBroken):
            broken = cause.rules
        elif isinstance(cause, RuleBroken):
            broken = (cause,)
        if broken:
            for rule in broken:
                problems.append(problem_at(file, (*base, *rule.path), str(rule), lines))
        else:
            problems.append(problem_at(file, base, _words(item), lines))
    return problems


def read_yaml(file: Path, model: type[ModelT]) -> tuple[ModelT, str]:
    """Read a YAML file into ``model``; returns the model and the file's exact text.

    Raises:
        FileProblems: if the file cannot be read or is not valid.
    """
    try:
        if file.stat().st_size > LARGEST_FILE_BYTES:
            limit = LARGEST_FILE_BYTES // 1024
            raise FileProblems([Problem(file, 1, "", f"larger than {limit} KiB; make it smaller")])
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileProblems([Problem(file, 1, "", "not UTF-8 text; save it as UTF-8")]) from error
    except OSError as error:
        reason = error.strerror or "cannot be opened"
        raise FileProblems([Problem(file, 1, "", f"cannot be read: {reason}")]) from error
    return parse_yaml(text, file, model), text
