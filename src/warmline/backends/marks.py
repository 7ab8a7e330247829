"""Marks with a meaning to a model: control marks in what goes in, reasoning in what comes out."""

from __future__ import annotations

import re

_OPEN = "<think>"
_CLOSE = "</think>"

#: The marks by which the common chat templates tell turns apart. In a prompt they are read as
#: control tokens even when a person typed them.
_CONTROL = re.compile(
    r"<\|(?=[^\s|<>]{1,40}\|>)"
    r"|<(?=/?(?:s|start_of_turn|end_of_turn|bos|eos)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])"
    r"|<(?=</?SYS>>)"
)


def defused(text: str) -> str:
    """The text with every control mark broken by a space, so that it is read as plain text.

    Without this a person could end their own turn and write the next one, or new instructions,
    by typing the marks of a chat template.
    """
    return _CONTROL.sub(lambda mark: f"{mark.group()} ", text)


class ThinkFilter:
    """Takes ``<think>…</think>`` out of text that arrives in pieces cut at any place.

    Text is held back only while it may be the beginning of a mark, and white space only until it
    is known whether a block follows at the very beginning: there the white space around the block
    goes with it, so that the answer begins with its first word. A block that is never closed is
    dropped.
    """

    def __init__(self) -> None:
        self._held = ""
        self._space = ""
        self._inside = False
        self._trimming = False
        self._begun = False

    def feed(self, piece: str) -> str:
        """Take in a piece, and give what can be said by now."""
        self._held += piece
        said = ""
        while True:
            mark = _CLOSE if self._inside else _OPEN
            before, found, after = self._held.partition(mark)
            if not found:
                break
            if not self._inside:
                said += self._say(before)
                self._trimming = not self._begun
            self._inside = not self._inside
            self._held = after
        kept = len(self._held) - _possible_beginning(self._held, mark)
        loose, self._held = self._held[:kept], self._held[kept:]
        return said if self._inside else said + self._say(loose)

    def flush(self) -> str:
        """What is left when the stream has ended."""
        rest = "" if self._inside else self._say(self._held)
        self._held = ""
        return rest if self._begun or self._trimming else self._space

    def _say(self, text: str) -> str:
        if self._begun:
            return text
        self._space += text
        if not self._space.strip():
            return ""
        self._begun = True
        return self._space.lstrip() if self._trimming else self._space


def without_thinking(text: str) -> str:
    """A whole answer without its reasoning.

    Some templates open the block in the prompt, so that an answer has only the closing mark: all
    before it is reasoning too.
    """
    head, closing, tail = text.partition(_CLOSE)
    if closing and _OPEN not in head:
        text = tail
    marks = ThinkFilter()
    return (marks.feed(text) + marks.flush()).strip()


def _possible_beginning(text: str, mark: str) -> int:
    """How many characters at the end of the text may be the beginning of the mark."""
    for length in range(min(len(mark) - 1, len(text)), 0, -1):
        if text.endswith(mark[:length]):
            return length
    return 0
