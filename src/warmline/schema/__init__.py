"""The JSON Schemas of persona and rubric files, made from the models, for an author's editor."""

from __future__ import annotations

import json
from pathlib import Path

from warmline.persona import Persona
from warmline.rubric import Rubric

FOLDER = Path(__file__).parent


def schemas() -> dict[Path, str]:
    """Each schema file and what must stand in it."""
    return {
        FOLDER / f"{name}.json": json.dumps(model.model_json_schema(), indent=2) + "\n"
        for name, model in (("persona", Persona), ("rubric", Rubric))
    }


def write_schemas() -> None:
    """Write the schema files anew, after a change of the models (``make schema``)."""
    for file, text in schemas().items():
        file.write_text(text, encoding="utf-8")
