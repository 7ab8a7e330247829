"""Avatars: initials on a colour that belongs to the name."""

from __future__ import annotations

import zlib
from html import escape

#: Dark enough for white letters (contrast of 4.5 or more).
COLOURS = ("#126a66", "#8a3b12", "#5b3f8c", "#1f5a8a", "#7a2e4f", "#4a5d16")

_PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40" role="img">'
    '<circle cx="20" cy="20" r="20" fill="{colour}"/>'
    '<text x="20" y="21" fill="#fff" font-family="system-ui, sans-serif" font-size="16" '
    'font-weight="600" text-anchor="middle" dominant-baseline="middle">{initials}</text></svg>'
)


def initials_svg(name: str) -> str:
    """A name's avatar as SVG: up to two initials; nothing of the name is taken as markup."""
    words = name.replace("_", " ").split()
    initials = "".join(word[0] for word in words[:2]).upper() or "?"
    colour = COLOURS[zlib.crc32(name.encode()) % len(COLOURS)]
    return _PICTURE.format(colour=colour, initials=escape(initials))
