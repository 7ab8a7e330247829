"""The benchmark itself: what it counts is what there is to count."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fakes import ScriptedBackend
from snapshots import small_rubric
from test_fitting import sessions
from test_judging import BLAMING, WARM, talk
from warmline.bench import own_set
from warmline.bench.attacks import AttackFile, under_attack
from warmline.bench.cost import cost_of
from warmline.bench.experts import against_experts, one_prompt, with_model
from warmline.bench.own_set import on_kept_back, on_own_set
from warmline.bench.run import lines, long_session
from warmline.cli import main
from warmline.grader.grading import Grader, MemoryBook
from warmline.labelled import read_scenes
from warmline.library import Library
from warmline.settings import PROJECT
from warmline.yamlfile import read_yaml

LABELLED = PROJECT / "rubrics" / "labelled"
ATTACKS = PROJECT / "benchmarks" / "attacks.yaml"
KEPT_BACK = PROJECT / "benchmarks" / "kept-back"


async def test_known_attacks_do_not_raise_a_grade(library: Library) -> None:
    """Every attack that is no secret to the defences, on two weak sessions."""
    grader = Grader(None, library.rubric("core"), MemoryBook())
    found = await under_attack(ATTACKS, read_scenes(LABELLED), grader, sessions=2)
    tried = sum(found.tried.values())
    assert tried >= 600
    assert found.share(blind=False) <= 0.01, found.examples
    assert found.share(blind=True) <= 0.01, found.examples


async def test_kind_words_are_no_attack(library: Library, tmp_path: Path) -> None:
    """The measure itself: words that do raise a grade are counted as having done so."""
    kind = (
        "Your mother spent a whole night in an armchair because of us, and I'm truly sorry. I'm "
        "ringing the depot about her bed now and I'll write to you by four. What would help her most "
        "until then?"
    )
    attacks, text = read_yaml(ATTACKS, AttackFile)
    file = tmp_path / "attacks.yaml"
    empty = {key: [] for key in type(attacks).model_fields}
    file.write_text(json.dumps({**empty, "orders": [kind], "blind": {}}), encoding="utf-8")
    grader = Grader(None, library.rubric("core"), MemoryBook())
    weak = [one.model_copy(update={"quality": "cold"}) for one in _scene()[1:]]
    found = await under_attack(file, weak, grader)
    assert found.tried == found.worked == {"orders": 2}
    assert text


async def test_every_way_of_grading_stands_beside_the_experts(library: Library) -> None:
    grader = Grader(None, library.rubric("core"), MemoryBook())
    found = await against_experts(grader, sessions()[:12])
    assert next(one.name for one in found) == "without labels"
    assert len(found) == 5
    assert all(set(one.steps) == {"listen", "ask", "resolve"} for one in found)


async def test_what_the_model_adds_is_measured_by_asking_it(library: Library) -> None:
    backend = ScriptedBackend(
        yes=lambda question: 0.5, chats=["listen: 4\nask: 2\nresolve: 9"] * 12
    )
    grader = Grader(backend, library.rubric("core"), MemoryBook(), ask_all=True)
    found = await with_model(grader, backend, sessions()[:12])
    assert found[-1].name == "one prompt for all numbers"
    assert len(backend.asked("yes")) > 500


async def test_the_ordinary_way_reads_its_numbers(library: Library) -> None:
    rubric = library.rubric("core").item
    backend = ScriptedBackend(chats=["listen: 4\nask - 2", "nothing"])
    given = await one_prompt(backend, rubric, sessions()[:2])
    assert given["listen"] == [4, 1]
    assert given["ask"] == [2, 1]


async def test_cost_counts_what_was_asked_before_and_after_finish() -> None:
    backend = ScriptedBackend(yes=lambda question: 0.5)
    rubric = small_rubric()
    cost = await cost_of(Grader(backend, rubric, MemoryBook()), talk(WARM))
    turn_checks = sum(len(s.checks) for s in rubric.item.steps if s.scope == "turn")
    assert cost.calls >= 3 * turn_checks
    assert 0 <= cost.share_after <= 1
    assert 0 <= cost.share_of_all <= 1


def test_a_long_session_has_ten_replies() -> None:
    session = long_session(read_scenes(LABELLED))
    assert len(session.agent_turns()) == 10


async def test_the_own_set_is_measured_scene_by_scene(library: Library, tmp_path: Path) -> None:
    """A small set of its own, so that every scene can be held out within seconds."""
    folder = tmp_path / "labelled"
    folder.mkdir()
    lines_ = (LABELLED / "bank.jsonl").read_text(encoding="utf-8").splitlines()
    (folder / "bank.jsonl").write_text("\n".join(lines_), encoding="utf-8")
    shutil.copy(LABELLED / "faults.tsv", folder)
    found = await on_own_set(folder, library.rubric("core"))
    assert found.scenes == len({json.loads(line)["scene"] for line in lines_})
    assert set(found.steps) == {step.id for step in library.rubric("core").item.steps}
    assert found.quotes == found.verbatim > 0
    assert 0 < found.marked <= found.showing - found.nothing_marked
    assert 0 <= found.good_unclear < found.good
    assert found.pairs > 0
    assert 0 <= found.ordered <= found.pairs
    assert set(found.without) == {
        "all features",
        "without sentence vectors",
        "without words",
        "without detectors and counts",
    }


async def test_sessions_that_no_judge_saw_are_kept_back(library: Library) -> None:
    scenes = read_scenes(KEPT_BACK)
    assert not {one.scene for one in scenes} & {one.scene for one in read_scenes(LABELLED)}
    rounds = await on_kept_back(KEPT_BACK, library.rubric("core"))
    assert sum(found.sessions for found in rounds.values()) == len(scenes)
    assert set(rounds) == {"fourth-round", "fifth-round", "sixth-round"}
    for found in rounds.values():
        assert found.pairs == found.ordered + len(found.wrong) == found.sessions
        assert found.blames + found.innocent == found.sessions
        # Nobody may be failed lightly: a session without blame that fails is the worst mistake.
        assert found.innocent_failed <= 0.05 * found.innocent
        assert found.ordered >= 0.9 * found.pairs
        assert found.blaming_passed == 0
        assert found.quotes == found.verbatim > 0


async def test_a_wrong_order_is_counted_as_wrong(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene: list[Any] = [
        one.model_copy(update={"quality": quality})
        for one, quality in zip(_scene(), ("blaming", "warm"), strict=True)
    ]
    grader = Grader(None, library.rubric("core"), MemoryBook())
    found = own_set.OwnSet()
    await own_set._grade_scene(found, scene, grader)
    assert (found.pairs, found.ordered) == (1, 0)
    assert len(found.wrong) == 1
    # Neither has words marked as blame, and one is failed for blame all the same.
    assert (found.blames, found.innocent, found.innocent_failed) == (0, 2, 1)


def _scene() -> list[Any]:
    from warmline.labelled import LabelledScene, LabelledTurn

    return [
        LabelledScene(
            id=name,
            scene="bed",
            sector="delivery",
            about="a daughter",
            quality="warm",
            turns=[
                LabelledTurn(role=turn.role, text=turn.text, levels={"listen": 1})
                for turn in talk(replies).turns
            ],
        )
        for name, replies in (("good", WARM), ("bad", BLAMING))
    ]


def test_what_was_found_is_said_in_lines() -> None:
    found = {
        "pairs": {"rubrics": {"core": [31, 32]}, "wrong": ["core/ask"]},
        "attacks": {
            "tried": {"orders": 10},
            "worked": {"orders": 1},
            "examples": ["orders: 'x'"],
            "share": 0.1,
            "share_blind": 0.0,
        },
    }
    text = "\n".join(lines(found))
    assert "core: 31 of 32" in text
    assert "orders: 1 of 10" in text


def test_the_command_needs_no_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def no_model(*args: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("warmline.cli.console.open_backend", no_model)
    monkeypatch.setattr("warmline.bench.attacks.SESSIONS", 1)
    file = tmp_path / "experts.jsonl"
    file.write_text("\n".join(one.model_dump_json() for one in sessions()[:12]), encoding="utf-8")
    done = CliRunner().invoke(
        main,
        ["bench", "grader", "--quick", "--json", "--rubric", "core", "--experts", str(file)],
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert set(found) == {"experts", "pairs", "attacks", "kept back"}
