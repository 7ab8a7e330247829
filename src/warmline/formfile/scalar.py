"""One value of a YAML text, written anew in the style that it had.

A text keeps its quotes, or its block and where its lines break: only the lines in which a word
changed are other ones. What a style cannot hold is written in double quotes, which can hold all.
"""

from __future__ import annotations

import json
import re
import unicodedata
from difflib import SequenceMatcher
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

#: New lines of folded text are at most so long, in characters. One that was there may grow a
#: little further, so that a changed word does not move all the words after it.
WIDTH = 100
GROWN = 120

#: A new text up to this length stands plain or in a list on one line; a longer one is quoted.
SHORT = 40

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
#: Control characters, halves of characters, line separators, and what is no character at all.
_UNSAFE = {"Cc", "Cs", "Cn", "Co", "Zl", "Zp"}
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*( [A-Za-z0-9_-]+)*")
#: Words that another reader of YAML takes for something else than text.
_NOT_TEXT = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_HEADER = re.compile(r"([|>])([0-9]?)[+-]?([0-9]?)([^\n]*)")


def quoted(value: str) -> str:
    """A text in double quotes, on one line."""
    return '"' + "".join(_escaped(char) for char in value) + '"'


def new_scalar(value: Any) -> str:
    """A value that was not there before, on one line."""
    if not isinstance(value, str):
        return _not_text(value)
    if len(value) <= SHORT and _WORD.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return quoted(value)


def inline(value: Any, old: str, style: str | None, *, flow: bool) -> str:
    """A value on one line, as the one before it was written.

    Args:
        value: the new value.
        old: how the one before was written.
        style: the style of the one before: a quote, or None for a plain one.
        flow: whether it stands between brackets.
    """
    if not isinstance(value, str):
        return _not_text(value)
    if style == "'" and all(map(_safe, value)):
        return "'" + value.replace("'", "''") + "'"
    # What was no text before, such as a number, shows no style to keep.
    if style is None and old and _plain_holds(value, flow=flow):
        return value
    return quoted(value) if style or old else new_scalar(value)


def block(value: str, header: str, old_lines: list[str], indent: int) -> str | None:
    """A text as a block of lines, with its header, ending in a line break.

    Args:
        value: the new text.
        header: the first line of the block before, such as ``>-``, with its comment if any.
        old_lines: the block's lines before, without their indent; where they broke is kept.
        indent: how far its lines stand from the left.

    Returns:
        None if a block cannot hold the text.
    """
    found = _HEADER.fullmatch(header)
    if found is None or found[2] or found[3] or not all(c == "\n" or _safe(c) for c in value):
        return None
    kept = value.rstrip("\n")
    ends = len(value) - len(kept)
    if not kept:
        return None
    chomp = "-" if ends == 0 else "" if ends == 1 else "+"
    for style in (">", "|") if found[1] == ">" else ("|",):
        lines = kept.split("\n")
        if style == ">":
            lines = _folded(lines, old_lines)
        lines += [""] * (ends - 1)
        head = f"{style}{chomp}{found[4]}"
        if _reads_as(f"x: {head}\n" + _indented(lines, 2), value):
            return f"{head}\n{_indented(lines, indent)}"
    return None


def _indented(lines: list[str], indent: int) -> str:
    return "".join(f"{' ' * indent}{line}\n" if line else "\n" for line in lines)


def _folded(paragraphs: list[str], old_lines: list[str]) -> list[str]:
    """Lines that fold to these paragraphs; they break where the old ones did, if they can."""
    old_words: list[str] = []
    breaks = set()
    for line in old_lines:
        breaks.add(len(old_words))
        old_words += line.split(" ")
    words = [word for paragraph in paragraphs for word in paragraph.split(" ")]
    matcher = SequenceMatcher(None, old_words, words, autojunk=False)
    keep = {
        block.b + k
        for block in matcher.get_matching_blocks()
        for k in range(block.size)
        if block.a + k in breaks
    }
    # A word that replaced the first of a line begins the line as well.
    keep |= {j1 for tag, i1, _, j1, _ in matcher.get_opcodes() if tag == "replace" and i1 in breaks}
    widest = max([GROWN if old_lines else WIDTH, *map(len, old_lines)])
    lines: list[str] = []
    at = 0
    for number, paragraph in enumerate(paragraphs):
        if number:
            lines.append("")
        part = paragraph.split(" ")
        if paragraph:
            for line in _broken(part, {k - at for k in keep}):
                # Beyond what is allowed; broken anew, and only this one.
                lines += [line] if len(line) <= widest else _broken(line.split(" "), set(), WIDTH)
        at += len(part)
    return lines


def _broken(words: list[str], keep: set[int], widest: int | None = None) -> list[str]:
    """Words in lines, broken before those in ``keep`` and where a line gets too wide."""
    lines = [words[0]]
    for number, word in enumerate(words[1:], start=1):
        # Beside a second space no line can break: it would be lost.
        can = bool(word) and bool(words[number - 1])
        wide = widest is not None and len(lines[-1]) + 1 + len(word) > widest
        if can and (number in keep or wide):
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return lines


def _not_text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return json.dumps(value)
    raise TypeError(f"no value for a form: {type(value).__name__}")


def _safe(char: str) -> bool:
    return unicodedata.category(char) not in _UNSAFE and char != "\ufeff"


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if _safe(char):
        return char
    code = ord(char)
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def _plain_holds(value: str, *, flow: bool) -> bool:
    """Whether a text reads as itself without quotes."""
    if not value or not all(map(_safe, value)) or value[0] in "-?:,[]{}#&*!|>'\"%@`":
        return False
    if flow and any(char in "[]{}," for char in value):
        return False
    return _reads_as(f"x: [{value}]\n" if flow else f"x: {value}\n", value)


def _reads_as(text: str, value: str) -> bool:
    """Whether the one value of a text, or of a list in it, reads as this."""
    try:
        read = YAML(typ="rt", pure=True).load(text)["x"]
    except (YAMLError, ValueError, AttributeError, TypeError, KeyError):
        return False
    if isinstance(read, list) and len(read) == 1:
        read = read[0]
    return isinstance(read, str) and str(read) == value
