"""The schemas an author's editor reads are those of the models, and every file names its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from warmline.library import Library
from warmline.schema import FOLDER, schemas, write_schemas
from warmline.settings import PROJECT

YAML_FILES = sorted([*PROJECT.glob("personas/*.yaml"), *PROJECT.glob("rubrics/*.yaml")])


@pytest.mark.parametrize("file", schemas(), ids=lambda file: file.name)
def test_a_schema_on_disk_is_the_models(file: Path) -> None:
    assert file.read_text(encoding="utf-8") == schemas()[file], "run: make schema"


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: file.name)
def test_a_shipped_file_names_its_schema_in_the_first_line(file: Path) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[0]
    start = "# yaml-language-server: $schema="
    assert first.startswith(start)
    named = (file.parent / first.removeprefix(start)).resolve()
    kind = file.parent.name.removesuffix("s")
    assert named == FOLDER / f"{kind}.json"


def test_all_that_is_shipped_is_usable(library: Library) -> None:
    assert library.problems == []
    assert len(library.personas) + len(library.rubrics) == len(YAML_FILES)


@pytest.mark.parametrize("file", schemas(), ids=lambda file: file.name)
def test_a_schema_refuses_fields_that_do_not_exist(file: Path) -> None:
    schema = json.loads(file.read_text(encoding="utf-8"))
    for part in [schema, *schema["$defs"].values()]:
        assert part["additionalProperties"] is False


def test_writing_the_schemas_changes_nothing_that_is_current() -> None:
    before = {file: file.read_bytes() for file in schemas()}
    write_schemas()
    assert {file: file.read_bytes() for file in schemas()} == before
