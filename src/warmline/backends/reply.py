"""One reply of a server: how it is to be drawn, and what has come of it so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: Characters that come for one token at the very most, over a whole reply, and what a short reply
#: may have besides. English has between four and five; a single token can be a run of spaces.
_CHARACTERS_PER_TOKEN = 8
_CHARACTERS_BESIDES = 64


@dataclass(frozen=True)
class Drawing:
    """How a reply is drawn.

    ``max_tokens`` is at least 1 and ``temperature`` at least 0. ``alternatives`` is how many of
    the likeliest first tokens are wanted with their log-probabilities, 0 to 20; 0 for none.
    """

    max_tokens: int
    temperature: float
    seed: int
    stop: tuple[str, ...] = ()
    fresh_words: bool = False
    alternatives: int = 0

    def logprobs(self) -> dict[str, Any]:
        """How a chat server is asked for the log-probabilities; nothing if none are wanted."""
        wanted = {"logprobs": True, "top_logprobs": self.alternatives}
        return wanted if self.alternatives else {}


@dataclass
class Reply:
    """What has come of one reply so far.

    ``done`` once the server said that it ended, and ``reason`` why: "length" when it was cut at
    its ``max_tokens``. The numbers of tokens are 0 where the server does not say. ``logprobs`` are
    those of the tokens in their order, each with its ``top_logprobs``, as the servers send them.
    """

    sent: str
    max_tokens: int
    text: str = ""
    pieces: int = 0
    done: bool = False
    reason: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    logprobs: list[Any] = field(default_factory=list)

    def take(self, piece: str) -> None:
        """Add the next piece; it may be empty."""
        self.text += piece
        self.pieces += 1

    @property
    def overfull(self) -> bool:
        """Whether more has come than ``max_tokens`` can be: the server does not heed them.

        Pieces count like characters, since a server can write on and on without a word, such as
        reasoning that it keeps to itself.
        """
        most = self.max_tokens * _CHARACTERS_PER_TOKEN + _CHARACTERS_BESIDES
        return max(len(self.text), self.pieces) > most

    def break_off(self) -> None:
        """Take the reply as cut at its ``max_tokens``, since the server does not end it."""
        self.done = True
        self.reason = "length"

    def alternatives(self) -> list[tuple[str, float]]:
        """The likeliest first tokens with their natural log-probabilities.

        None at all if the server gave none, or only the token that it chose: that says nothing
        about how likely another was.
        """
        first = (self.logprobs[0].get("top_logprobs") if self.logprobs else None) or []
        if len(first) < 2:
            return []
        # What cannot come at all has no number in some servers.
        return [(one["token"], one["logprob"]) for one in first if one["logprob"] is not None]
