"""A YAML text with some of its values changed, and everything else in it as it was.

Values are put in at their places in the text, so that comments, order, quotes and line breaks
stay: a changed word changes its own line, and an item of a list that is added, taken out or moved
brings or takes its own lines only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from warmline.errors import WarmlineError
from warmline.formfile.editor import with_values
from warmline.formfile.pairing import same
from warmline.formfile.places import NotForForms
from warmline.yamlfile import read_values

__all__ = ["NotForForms", "edited"]


def edited(text: str, values: dict[str, Any]) -> str:
    """The text, with these values in it.

    Args:
        text: YAML, fields with values.
        values: all values it is to have: text, numbers, truth, None, lists and dicts of them. A
            field of it that is not there is taken out; the order of fields does not matter.

    Raises:
        FileProblems: if the text is not YAML.
        NotForForms: if the change cannot be put into this text.
    """
    old, _ = read_values(text, Path("the file"))
    if same(old, values):
        return text
    ends = text.endswith("\n")
    result = with_values(text if ends else text + "\n", old, values)
    result = result if ends else result.removesuffix("\n")
    try:
        done = same(read_values(result, Path("the file"))[0], values)
    except WarmlineError:
        done = False
    if not done:
        raise NotForForms(
            "This file is written in a way that a form cannot keep. "
            "Change it in the file view; nothing was changed now."
        )
    return result
