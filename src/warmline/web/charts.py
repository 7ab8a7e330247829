"""Line charts as pictures, in the colours of the pages, drawn without a network or a script."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pygal
from pygal.style import Style

#: The size of a picture, in pixels; pages may show it smaller.
WIDTH, HEIGHT = 360, 180

_LIGHT, _DARK = "hsl(178, 70%, 24%)", "hsl(172, 48%, 58%)"
_GREY, _DARK_GREY = "hsl(24, 12%, 36%)", "hsl(36, 8%, 70%)"

_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground=_GREY,
    foreground_strong=_GREY,
    foreground_subtle="hsla(24, 12%, 50%, 0.35)",
    colors=(_LIGHT,),
    font_family="system-ui, sans-serif",
    label_font_size=13,
    major_label_font_size=13,
    guide_stroke_color="hsla(24, 12%, 50%, 0.35)",
    major_guide_stroke_color="hsla(24, 12%, 50%, 0.35)",
    stroke_width="3",
    transition="none",
)

#: A picture does not know the page's style sheet, but it does know whether it is dark.
_WHEN_DARK = f"""inline:@media (prefers-color-scheme: dark) {{
    text {{ fill: {_DARK_GREY} !important; }}
    .color-0, .color-0 a:visited {{ stroke: {_DARK} !important; fill: {_DARK} !important; }}
}}"""


def line_chart(
    days: Sequence[date],
    values: Sequence[float | None],
    lowest: float,
    highest: float,
    *,
    marks: Sequence[float] = (),
) -> bytes:
    """A line over time as an SVG picture.

    Args:
        days: when each point was; the first and the last are written.
        values: the points, None where there is none.
        lowest: where the axis begins.
        highest: where it ends.
        marks: what is written beside the axis; its ends by default.
    """
    chart = _chart(range=(lowest, highest))
    labels = [f"{day.day} {day:%b}" for day in days]
    chart.x_labels = labels
    chart.x_labels_major = [labels[0], labels[-1]] if labels else []
    chart.y_labels = list(marks) or [lowest, highest]
    chart.add("", list(values), allow_interruptions=True)
    return bytes(chart.render())


def mood_chart(ladder: Sequence[str], ranks: Sequence[int], replies: int) -> bytes:
    """The course of a customer's mood as an SVG picture: the ladder upwards, replies to the right.

    Args:
        ladder: the moods, worst first.
        ranks: where on it the customer stood at the start, and after each reply.
        replies: how many replies the agent was to write; the axis ends there.
    """
    width, height = mood_chart_size(ladder)
    chart = _chart(range=(0, len(ladder) - 1), width=width, height=height)
    end = f"reply {replies}"
    chart.x_labels = ["start", *(str(number) for number in range(1, replies)), end]
    chart.x_labels_major = ["start", end]
    chart.y_labels = [{"value": rank, "label": mood} for rank, mood in enumerate(ladder)]
    chart.add("", [*ranks, *[None] * (replies + 1 - len(ranks))], allow_interruptions=True)
    return bytes(chart.render())


def mood_chart_size(ladder: Sequence[str]) -> tuple[int, int]:
    """How wide and high that picture is: as the names of the moods and their number want it."""
    return WIDTH + 5 * max(map(len, ladder)), max(HEIGHT, 30 * len(ladder) + 30)


def _chart(**options: object) -> pygal.Line:
    """An empty chart in the colours of the pages."""
    usual: dict[str, object] = {
        "style": _STYLE,
        "css": ["file://style.css", "file://graph.css", _WHEN_DARK],
        "js": [],
        "width": WIDTH,
        "height": HEIGHT,
        "show_legend": False,
        "show_minor_x_labels": False,
        "dots_size": 4,
        "margin": 4,
        "margin_left": 16,
        "margin_right": 26,
        "truncate_label": -1,
    }
    return pygal.Line(**usual | options)
