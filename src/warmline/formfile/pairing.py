"""Which item of a changed list was which before."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

#: Fields by which people tell items apart.
_NAMES = ("id", "mood")


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, and of the same kind: 1 is neither 1.0 nor true."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    # What has a tag of its own is equal to nothing, but looks the same as its copy.
    return repr(one) == repr(other)


def pairs(old: Sequence[Any], new: Sequence[Any]) -> list[int | None]:
    """For each new item, which of the old ones it is; None for one that was not there.

    Equal ones first, where they stand before where they moved to; then those of the same name;
    then, of what is left between two known ones, in order.
    """
    before, after = [_key(one) for one in old], [_key(one) for one in new]
    found: list[int | None] = [None] * len(new)
    free = set(range(len(old)))

    def take(at: int, index: int) -> None:
        found[at] = index
        free.discard(index)

    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for block in matcher.get_matching_blocks():
        for offset in range(block.size):
            take(block.b + offset, block.a + offset)
    for keys_before, keys_after in (
        (before, after),
        ([_name(one) for one in old], [_name(one) for one in new]),
    ):
        for at, key in enumerate(keys_after):
            if found[at] is None and key:
                index = next((i for i in sorted(free) if keys_before[i] == key), None)
                if index is not None:
                    take(at, index)
    low = -1
    for at, index in enumerate(found):
        if index is None:
            high = next((i for i in found[at + 1 :] if i is not None and i > low), len(old))
            between = [i for i in sorted(free) if low < i < high]
            # As many new ones as old ones: each is an old one that was changed.
            if between and _run(found, at) <= len(between):
                take(at, between[0])
        if found[at] is not None:
            low = max(low, found[at] or 0)
    return found


def _run(found: Sequence[int | None], at: int) -> int:
    """How many items without a match follow each other from here on."""
    end = at
    while end < len(found) and found[end] is None:
        end += 1
    return end - at


def _key(value: Any) -> str:
    return repr(value)


def _name(value: Any) -> str:
    if isinstance(value, dict):
        for name in _NAMES:
            if isinstance(value.get(name), str):
                return f"{name} {value[name]}"
    return ""
