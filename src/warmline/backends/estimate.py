"""How many tokens a text may have, where only the server knows."""

from __future__ import annotations


class TokenEstimate:
    """An upper estimate of the tokens in a text, learned from what the server counts.

    Some servers cut too long a prompt without a word, so the estimate must rather be too high. It
    starts at three bytes a token, which holds for the scripts and tokenizers in use, goes down
    at once when a prompt had more tokens than estimated, and up only a little.
    """

    _FIRST = 3.0
    _LOWEST = 1.0
    _HIGHEST = 3.6
    _MARGIN = 0.95
    _LEAST_BYTES = 300

    def __init__(self) -> None:
        self._bytes_per_token = self._FIRST
        self._lowest_seen = float("inf")

    def of(self, text: str) -> int:
        """About how many tokens the text has, rather too many than too few."""
        return round(len(text.encode()) / self._bytes_per_token) + 1

    def learn(self, text: str, tokens: int) -> None:
        """Take in how many tokens the server counted in a text that it read.

        Some versions do not count the tokens they had cached, so a low count proves nothing; that
        is why the estimate has an upper limit. Short texts are mostly template.
        """
        size = len(text.encode())
        if size < self._LEAST_BYTES or tokens < 1:
            return
        self._lowest_seen = min(self._lowest_seen, size / tokens)
        careful = self._lowest_seen * self._MARGIN
        self._bytes_per_token = min(max(careful, self._LOWEST), self._HIGHEST)
