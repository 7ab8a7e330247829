"""Where things stand in a YAML text."""

from __future__ import annotations

from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from warmline.errors import WarmlineError


class NotForForms(WarmlineError):
    """The text says the same thing in a way that only a text editor can keep."""


def is_flow(node: Node) -> bool:
    """Whether a node is between brackets."""
    return isinstance(node, CollectionNode) and bool(node.flow_style)


def scalars(node: Node) -> list[ScalarNode]:
    """Every single value in a node, keys included."""
    if isinstance(node, ScalarNode):
        return [node]
    parts = node.value
    if isinstance(node, MappingNode):
        parts = [one for pair in node.value for one in pair]
    return [one for part in parts for one in scalars(part)]


class Places:
    """Finds the places of nodes in the text that they were read from."""

    def __init__(self, text: str) -> None:
        self.text = text

    def span(self, node: Node) -> tuple[int, int]:
        """Where a node stands; the lines of a block without the blank ones after it."""
        start, end = node.start_mark.index, node.end_mark.index
        if isinstance(node, ScalarNode) and node.style in ("|", ">"):
            header = self.text[start:end].partition("\n")[0].partition("#")[0]
            if "+" not in header:
                end = start + len(self.text[start:end].rstrip()) + 1
        elif isinstance(node, CollectionNode) and not node.flow_style and node.value:
            end = self.content_end(node, end)
        return start, end

    def line_start(self, at: int) -> int:
        """Where the line that a place is in begins."""
        return self.text.rfind("\n", 0, at) + 1

    def line_end(self, at: int) -> int:
        """Just after the line break of the line that a place is in."""
        return self.text.index("\n", at) + 1

    def content_end(self, node: Node, after: int) -> int:
        """The end of what stands in a node, without blank lines and comments after it."""
        if isinstance(node, ScalarNode) or is_flow(node) or not node.value:
            start, end = self.span(node)
            return after if start == end else end
        last = node.value[-1]
        if isinstance(last, tuple):
            colon = self.text.index(":", last[0].end_mark.index) + 1
            return self.content_end(last[1], colon)
        assert isinstance(node, SequenceNode)
        return self.content_end(last, self.dashes(node)[-1] + 1)

    def dashes(self, node: SequenceNode) -> list[int]:
        """Where each item's dash stands."""
        column = node.start_mark.column
        inside = [self.span(one) for one in scalars(node)]
        found = [node.start_mark.index]
        at = self.line_end(found[0])
        while at < node.end_mark.index:
            dash = at + column
            begins = self.text[at:dash].isspace() or not column
            within = any(start < dash < end for start, end in inside)
            if begins and not within and self.text[dash : dash + 2] in ("- ", "-\n"):
                found.append(dash)
            at = self.line_end(at)
        if len(found) != len(node.value):
            raise NotForForms("This list is written in an unusual way. Use the file view.")
        return found

    def comments(self, source: str, node: Node) -> list[str]:
        """The comments between a pair of brackets."""
        inner = [self.span(one) for one in scalars(node)]
        base = self.span(node)[0]
        found = []
        at = 0
        while (at := source.find("#", at)) >= 0:
            inside = any(start <= base + at < end for start, end in inner)
            if not inside and (at == 0 or source[at - 1].isspace()):
                line = source[at:].partition("\n")[0]
                found.append(line.rstrip())
                at += len(line)
            else:
                at += 1
        return found
