"""Tables that leave Warmline: every cell comes back, and none is taken for more than text."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from warmline.tables import FORMULA, Cell, Table, as_csv, as_json, shown
from warmline.web.printing import printed_table

COLUMNS = {"name": "Who", "value": "How much"}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
cells = texts | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
rows = st.lists(st.tuples(cells | st.none(), cells | st.none()), max_size=4)


def table(*some: tuple[Cell, ...], title: str = "Team support") -> Table:
    return Table(title, COLUMNS, some)


@given(rows)
@example([("=1+1", "\t=1"), (" @x", "\n-2"), ("＝1", "\r+1"), ("-", -1)])
def test_a_csv_cell_comes_back_and_is_never_a_formula(some: list[tuple[Cell, ...]]) -> None:
    text = as_csv(table(*some))
    header, *back = csv.reader(io.StringIO(text, newline=""))
    assert header == ["name", "value"]
    assert len(back) == len(some)
    for before, after in zip(some, back, strict=True):
        for cell, got in zip(before, after, strict=True):
            if isinstance(cell, str):
                assert got in (cell, f"'{cell}")
                assert not got.lstrip(" ").startswith(FORMULA)
            else:
                assert got == ("" if cell is None else str(cell))


@given(rows)
def test_json_keeps_every_cell_as_it_is(some: list[tuple[Cell, ...]]) -> None:
    back = json.loads(json.dumps(as_json(table(*some))))
    assert [tuple(row.values()) for row in back["rows"]] == [tuple(row) for row in some]
    assert all(list(row) == ["name", "value"] for row in back["rows"])


class Read(HTMLParser):
    """The tags of a page, and the text of its cells and heading."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.heading = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["td"] and self.cells:
            self.cells[-1] += data
        if self.tags[-1:] == ["h1"]:
            self.heading += data

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")


marked_up = texts | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "</td><td>",
        '"><img src=x onerror=alert(1)>',
        "&lt;",
        "{{ 7*7 }}",
    ]
)


@given(st.lists(st.tuples(marked_up, marked_up), max_size=3), marked_up)
def test_a_printed_cell_is_text_whatever_it_looks_like(
    some: list[tuple[Cell, ...]], title: str
) -> None:
    plain = Read(printed_table(table(("a", "b"), *some)))
    page = Read(printed_table(table(("a", "b"), *some, title=title)))
    assert page.tags == plain.tags
    assert page.cells == ["a", "b", *(cell for row in some for cell in row)]
    assert page.heading == title
    assert page.tags.count("td") == 2 + 2 * len(some)
    assert set(page.tags).isdisjoint({"script", "img", "a", "link"})


def test_the_property_above_sees_a_cell_that_is_not_escaped() -> None:
    page = printed_table(table(("a", "b"))).replace("<td>b</td>", "<td><img src=x></td>")
    assert "img" in Read(page).tags


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, ""), (True, "yes"), (False, "no"), (3.0, "3"), (69.666, "69.67"), (0.5, "0.5"),
     (100.0, "100"), (0.0, "0"), (7, "7"), ("x", "x")],
)  # fmt: skip
def test_how_a_cell_is_printed(cell: Cell, text: str) -> None:
    assert shown(cell) == text


def test_a_row_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="Team support: row 2 has 1 cells, not 2"):
        table(("a", 1), ("b",))
    with pytest.raises(ValueError, match="row 1 has 3 cells"):
        table(("a", 1, 2))


def test_a_printed_page_needs_nothing_from_anywhere() -> None:
    page = printed_table(Table("T", COLUMNS, [("a", 1)], ["Since May & before."]))
    assert "Since May &amp; before." in page
    assert "<style>" in page
    assert "default-src 'none'" in page
    for word in ("http:", "https:", "src=", "href=", "url(", "<script", "@import"):
        assert word not in page
