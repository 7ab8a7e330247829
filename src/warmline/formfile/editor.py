"""Puts values into a YAML text at their places."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from warmline.formfile import scalar
from warmline.formfile.pairing import pairs, same
from warmline.formfile.places import NotForForms, Places, is_flow
from warmline.formfile.writing import STEP, in_brackets, is_long, lines


def with_values(text: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    """The text with new values in place of the old ones that it has; it ends in a line break.

    Whether it reads as the new values then is for the caller to see.

    Raises:
        NotForForms: if a change cannot be put into this text.
    """
    root = YAML(typ="rt", pure=True).compose(text)
    editor = _Editor(text)
    editor.change(root, old, new, _Place(-STEP, False))
    return editor.patched(0, len(text), editor.edits)


@dataclass(frozen=True)
class _Place:
    """Where a value stands.

    ``column`` is that of the key or dash it belongs to, ``flow`` whether it is between brackets,
    ``after`` the end of that key's colon or dash, and ``key`` whether it belongs to a key.
    """

    column: int
    flow: bool
    after: int = 0
    key: bool = True


@dataclass(frozen=True)
class _Edit:
    start: int
    end: int
    text: str


@dataclass
class _Piece:
    """One item or field of a block: its lines, and the comments and blank lines before them."""

    start: int
    end: int
    lead: str
    edits: list[_Edit] = field(default_factory=list)


class _Editor:
    """Collects what has to change in one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.places = Places(text)
        self.edits: list[_Edit] = []

    def patched(self, start: int, end: int, edits: list[_Edit]) -> str:
        """A part of the text, with these changes in it."""
        parts = []
        at = start
        for edit in sorted(edits, key=lambda one: (one.start, one.end)):
            parts += [self.text[at : edit.start], edit.text]
            at = edit.end
        return "".join([*parts, self.text[at:end]])

    def change(self, node: Node, old: Any, new: Any, place: _Place) -> None:
        """Note what has to change so that a node has a new value."""
        if same(old, new):
            return
        if isinstance(node, ScalarNode) and not isinstance(new, (list, dict)):
            self._scalar(node, new, place)
        elif is_flow(node) and not place.flow:
            self._flow(node, old, new, place)
        elif (
            isinstance(node, MappingNode) and isinstance(new, dict) and len(node.value) == len(old)
        ):
            self._mapping(node, old, new, place)
        elif (
            isinstance(node, SequenceNode) and isinstance(new, list) and len(node.value) == len(old)
        ):
            self._sequence(node, old, new, place)
        else:
            self._rewrite(node, new, place)

    # Single values

    def _scalar(self, node: ScalarNode, new: Any, place: _Place) -> None:
        start, end = self.places.span(node)
        style = node.style
        if start == end:
            self.edits.append(_Edit(place.after, place.after, " " + scalar.new_scalar(new)))
            return
        old = self.text[start:end]
        column = place.column + STEP
        if style in ("|", ">"):
            header, _, body = old.partition("\n")
            before = body.removesuffix("\n").split("\n")
            filled = [line for line in before if line.strip()]
            if filled:
                column = len(filled[0]) - len(filled[0].lstrip(" "))
            written = None
            if isinstance(new, str):
                written = scalar.block(new, header, [line[column:] for line in before], column)
            if written is None:
                comment = header.partition("#")
                written = scalar.inline(new, old, '"', flow=False)
                written += (f"  #{comment[2]}" if comment[1] else "") + "\n"
            self.edits.append(_Edit(start, end, written))
            return
        if isinstance(new, str) and "\n" in new and not place.flow:
            eol = self.places.line_end(end)
            rest = self.text[end:eol].strip()
            written = scalar.block(new, f"|{'  ' if rest else ''}{rest}", [], column)
            if written is not None:
                self.edits.append(_Edit(start, eol, written))
                return
        self.edits.append(_Edit(start, end, scalar.inline(new, old, style, flow=place.flow)))

    def _rewrite(self, node: Node, new: Any, place: _Place) -> None:
        """Write a value of another kind in place of the one there is."""
        start, end = self.places.span(node)
        if place.flow:
            self.edits.append(_Edit(start, end, in_brackets(new)))
            return
        written = lines(new, place.column, key=place.key)
        if start == end:
            start = end = place.after
        end = self.places.line_end(end) if self.text[end - 1] != "\n" else end
        self.edits.append(_Edit(place.after, end, written))

    # Brackets

    def _flow(self, node: Node, old: Any, new: Any, place: _Place) -> None:
        start, end = self.places.span(node)
        source = self.text[start:end]
        written = self._in_brackets(node, old, new)
        comments = self.places.comments(source, node)
        was_long = isinstance(old, list) and is_long(old)
        grown = isinstance(new, list) and is_long(new) and not was_long
        if grown or any(comment not in written for comment in comments):
            eol = self.places.line_end(end)
            comments += [self.text[end:eol].strip()] if self.text[end:eol].strip() else []
            written = lines(new, place.column, key=place.key)
            kept = "".join(f"\n{' ' * (place.column + STEP)}{one}" for one in comments)
            if written.startswith("\n"):
                self.edits.append(_Edit(place.after, eol, kept + written))
            else:
                self.edits.append(_Edit(place.after, eol, written.rstrip("\n") + kept + "\n"))
        else:
            self.edits.append(_Edit(start, end, written))

    def _in_brackets(self, node: Node | None, old: Any, new: Any) -> str:
        """A value on one line; what stands in the node already is taken from there."""
        if node is not None and same(old, new):
            start, end = self.places.span(node)
            source = self.text[start:end]
            if "\n" not in source:
                return source or "null"
        if isinstance(new, dict):
            known: dict[Any, Node] = {}
            if isinstance(node, MappingNode) and isinstance(old, dict):
                known = dict(zip(old, (value for _, value in node.value), strict=False))
            before = old if isinstance(old, dict) else {}
            order = [key for key in before if key in new]
            order += [key for key in new if key not in before]
            inner = (
                f"{scalar.new_scalar(key)}: "
                + self._in_brackets(known.get(key), before.get(key), new[key])
                for key in order
            )
            return "{" + ", ".join(inner) + "}"
        if isinstance(new, list):
            nodes = node.value if isinstance(node, SequenceNode) else []
            before_items = old if isinstance(old, list) and len(old) == len(nodes) else []
            inner = (
                self._in_brackets(
                    nodes[index] if index is not None else None,
                    before_items[index] if index is not None else None,
                    item,
                )
                for index, item in zip(pairs(before_items, new), new, strict=True)
            )
            return "[" + ", ".join(inner) + "]"
        if isinstance(node, ScalarNode):
            start, end = self.places.span(node)
            return scalar.inline(new, self.text[start:end], node.style, flow=True)
        return scalar.new_scalar(new)

    # Blocks

    def _mapping(
        self, node: MappingNode, old: dict[Any, Any], new: dict[Any, Any], place: _Place
    ) -> None:
        keys = list(old)
        if any(
            str(key.value) != str(name) for (key, _), name in zip(node.value, keys, strict=True)
        ):
            raise NotForForms(
                "The name of a field is written in an unusual way. Use the file view."
            )
        if not new:
            self._rewrite(node, new, place)
            return
        column = node.start_mark.column
        places = [
            _Place(column, bool(node.flow_style), self.text.index(":", key.end_mark.index) + 1)
            for key, _ in node.value
        ]
        starts = [key.start_mark.index for key, _ in node.value]
        values = [value for _, value in node.value]
        pieces = self._pieces(starts, values, places)
        for index, key in enumerate(keys):
            if key in new:
                pieces[index].edits = self._within(values[index], old[key], new[key], places[index])
        if set(keys) == set(new):
            self.edits += [edit for piece in pieces for edit in piece.edits]
            return
        order: list[int | str] = [index for index, key in enumerate(keys) if key in new]
        before: Any = None
        for key in new:
            if key not in old:
                at = 0
                if before is not None:
                    at = order.index(keys.index(before) if before in old else before) + 1
                order.insert(at, key)
            before = key
        made = {
            key: f"{scalar.new_scalar(key)}:" + lines(new[key], column, key=True)
            for key in new
            if key not in old
        }
        self._arrange(pieces, order, made, column)

    def _sequence(self, node: SequenceNode, old: list[Any], new: list[Any], place: _Place) -> None:
        column = node.start_mark.column
        starts = self.places.dashes(node)
        places = [_Place(column, False, start + 1, key=False) for start in starts]
        pieces = self._pieces(starts, node.value, places)
        if not new:
            first = self.places.line_start(starts[0])
            head = self.text[self.places.line_end(place.after - 1) : first]
            kept = "".join(_comments_only(lead) for lead in (head, *(one.lead for one in pieces)))
            self.edits.append(_Edit(place.after, pieces[-1].end, f" []\n{kept}"))
            return
        chosen = pairs(old, new)
        for index, item in zip(chosen, new, strict=True):
            if index is not None:
                pieces[index].edits = self._within(
                    node.value[index], old[index], item, places[index]
                )
        if chosen == list(range(len(old))):
            self.edits += [edit for piece in pieces for edit in piece.edits]
            return
        flat = all(map(is_flow, node.value))
        order: list[int | str] = []
        made: dict[str, str] = {}
        for number, (index, item) in enumerate(zip(chosen, new, strict=True)):
            if index is not None:
                order.append(index)
                continue
            order.append(f"new {number}")
            simple = isinstance(item, dict) and not any(
                isinstance(v, (list, dict)) for v in item.values()
            )
            if flat and simple:
                made[f"new {number}"] = f"- {in_brackets(item)}\n"
            else:
                made[f"new {number}"] = "-" + lines(item, column, key=False)
        self._arrange(pieces, order, made, column)

    def _within(self, node: Node, old: Any, new: Any, place: _Place) -> list[_Edit]:
        """The changes inside one value, apart from all others."""
        outer, self.edits = self.edits, []
        self.change(node, old, new, place)
        inner, self.edits = self.edits, outer
        return inner

    def _pieces(self, starts: list[int], values: list[Node], places: list[_Place]) -> list[_Piece]:
        pieces: list[_Piece] = []
        for start, value, place in zip(starts, values, places, strict=True):
            end = self.places.line_end(self.places.content_end(value, place.after) - 1)
            lead = self.text[pieces[-1].end : self.places.line_start(start)] if pieces else ""
            pieces.append(_Piece(start, end, lead))
        return pieces

    def _arrange(
        self, pieces: list[_Piece], order: list[int | str], made: dict[str, str], column: int
    ) -> None:
        """Put the pieces of a block in a new order, with new ones and without some."""
        if not pieces or not order:
            raise NotForForms("This part is written in an unusual way. Use the file view.")
        start, end = pieces[0].start, pieces[-1].end
        # Where every item has a blank line before it, a new one has one as well.
        blank = len(pieces) > 1 and all(_blank_first(piece.lead) for piece in pieces[1:])
        gap = "\n" if blank else ""
        inline = bool(self.text[self.places.line_start(start) : start].strip())
        left = [index for index in range(len(pieces)) if index not in order]
        parts = []
        waiting = ""
        for number, one in enumerate(order):
            if isinstance(one, int):
                piece = pieces[one]
                body = self.patched(piece.start, piece.end, piece.edits)
                lead = piece.lead if one else gap
                while left and left[0] < one:
                    lead = _comments_only(pieces[left.pop(0)].lead) + lead
            else:
                body, lead = made[one], gap
            if not number:
                # What stands above the first item is not ours to move.
                lead = _comments_only(lead)
                if inline or not lead:
                    waiting, lead = lead, ""
                else:
                    lead = lead.removeprefix(" " * column) + " " * column
                parts.append(lead + body)
                continue
            parts += [waiting, lead, " " * column, body]
            waiting = ""
        parts += [waiting, *(_comments_only(pieces[index].lead) for index in left)]
        self.edits.append(_Edit(start, end, "".join(parts)))


def _blank_first(lead: str) -> bool:
    return bool(lead) and not lead.partition("\n")[0].strip()


def _comments_only(lead: str) -> str:
    return "".join(line for line in lead.splitlines(keepends=True) if line.strip())
