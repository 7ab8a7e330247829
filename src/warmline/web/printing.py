"""Pages to print and to keep: one file each, which needs no network and no Warmline."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from warmline.tables import Table, shown
from warmline.web.templating import templates


def printed(name: str, **values: Any) -> str:
    """A template as a page that stands by itself."""
    return templates.get_template(name).render(**values)


def printed_table(table: Table) -> str:
    """A table as a page to print; everything in it is shown as text, whatever it looks like."""
    rows = [[shown(cell) for cell in row] for row in table.rows]
    return printed("print_table.html", table=table, rows=rows)


def download(text: str, name: str, media_type: str) -> Response:
    """A file that the browser keeps instead of showing it.

    A page to print has its style in itself, which no page shown by the server may have. Opened
    from the disk it has.

    Args:
        text: what is in it.
        name: what it is called; anything but letters, digits, dots and dashes is left out.
        media_type: ``text/html``, ``text/csv`` or ``application/json``.
    """
    safe = "".join(c for c in name if c.isascii() and (c.isalnum() or c in "-_."))
    return Response(
        text,
        headers={"Content-Disposition": f'attachment; filename="{safe}"'},
        media_type=media_type,
    )
