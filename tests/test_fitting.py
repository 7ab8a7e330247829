"""Calibrating: from labelled conversations to a head that is used where it fits, and only there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fakes import ScriptedBackend
from warmline.backends import Backend
from warmline.cli import main
from warmline.errors import WarmlineError
from warmline.grader.agreement import agreement_of, mean_agreement, weighted_kappa
from warmline.grader.calibration import fit_step
from warmline.grader.fitting import fitted_head
from warmline.grader.grading import Grader, MemoryBook
from warmline.labelled import LabelledTranscript, read_labelled, read_scenes
from warmline.library import Library
from warmline.settings import Settings

LABELLED = Path(__file__).resolve().parents[1] / "rubrics" / "labelled"


def sessions() -> list[LabelledTranscript]:
    """Whole sessions of the project's own set, labelled by the best of their replies."""
    found = []
    for scene in read_scenes(LABELLED):
        levels = [turn.levels for turn in scene.turns if turn.levels]
        if len(levels) < 3:
            continue
        best = {
            step: max(one[step] or 1 for one in levels) for step in ("listen", "ask", "resolve")
        }
        found.append(
            LabelledTranscript(
                id=scene.id,
                turns=scene.transcript().turns,
                labels={step: float(level) for step, level in best.items()},
            )
        )
    return found[:40]


async def test_a_head_learns_what_the_labels_say(library: Library) -> None:
    grader = Grader(None, library.rubric("core"), MemoryBook())
    head = await fitted_head(grader, sessions())
    assert set(head.steps) == {"listen", "ask", "resolve"}
    assert (head.rubric, head.rubric_hash) == ("core", library.rubric("core").hash)
    assert head.mean.kappa > 0.5
    assert head.mean.low <= head.mean.kappa <= head.mean.high
    turned = [
        one.model_copy(update={"labels": {s: 6 - v for s, v in one.labels.items()}})
        for one in sessions()
    ]
    upside_down = await fitted_head(grader, turned)
    signs = (await grader.signs(sessions()[0].transcript()))["listen"]
    straight, turned_level = (
        head.steps["listen"].level(signs),
        upside_down.steps["listen"].level(signs),
    )
    assert straight + turned_level == pytest.approx(6, abs=0.01)


async def test_a_head_counts_only_for_its_rubric_and_judge(library: Library) -> None:
    core = library.rubric("core")
    grader = Grader(None, core, MemoryBook())
    head = await fitted_head(grader, sessions())
    assert Grader(None, core, MemoryBook(), head=head).head is head
    assert Grader(None, library.rubric("nine-steps"), MemoryBook(), head=head).head is None
    other = head.model_copy(update={"judge": "another"})
    assert Grader(None, core, MemoryBook(), head=other).head is None
    assert Grader(ScriptedBackend(), core, MemoryBook(), ask_all=True, head=head).head is None


@pytest.mark.parametrize(
    ("labels", "words"),
    [({"kindness": 3.0}, "no step of core"), ({"listen": 9.0}, "outside 1 to 5")],
)
async def test_labels_that_do_not_fit_are_said(
    library: Library, labels: dict[str, float], words: str
) -> None:
    grader = Grader(None, library.rubric("core"), MemoryBook())
    wrong = [one.model_copy(update={"labels": labels}) for one in sessions()]
    with pytest.raises(WarmlineError, match=words):
        await fitted_head(grader, wrong)


async def test_too_few_labels_are_no_basis(library: Library) -> None:
    grader = Grader(None, library.rubric("core"), MemoryBook())
    with pytest.raises(WarmlineError, match="at least 8"):
        await fitted_head(grader, sessions()[:5])


def test_calibrate_then_grade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two commands in a row: the second uses what the first has kept."""

    async def scripted(settings: Settings) -> Backend:
        return ScriptedBackend(yes=lambda question: 0.5)

    monkeypatch.setattr("warmline.cli.console.open_backend", scripted)
    monkeypatch.setenv("WARMLINE_TRANSCRIPTS_DIR", str(tmp_path / "db"))
    file = tmp_path / "labels.jsonl"
    # Every session is labelled 5 for asking: a head must learn that, whatever was asked.
    lines = [
        one.model_copy(update={"labels": {"ask": 5.0, "listen": one.labels["listen"]}})
        for one in sessions()
    ]
    file.write_text("\n".join(one.model_dump_json() for one in lines), encoding="utf-8")
    runner = CliRunner()

    def asked() -> int:
        graded = runner.invoke(main, ["grade", str(file), "--json"])
        assert graded.exit_code == 0, graded.output
        records = [json.loads(line) for line in graded.stdout.splitlines()]
        levels = [step["level"] for r in records for step in r["steps"] if step["id"] == "ask"]
        return sum(level == 5 for level in levels)

    before = asked()
    done = runner.invoke(main, ["calibrate", "--rubric", "core", "--labelled", str(file)])
    assert done.exit_code == 0, done.output
    assert "listen: 0." in done.stdout
    assert "mean:" in done.stdout
    assert asked() > before
    assert len(read_labelled(file)) == len(lines)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=30))
def test_kappa_is_symmetric_and_at_most_one(pairs: list[tuple[int, int]]) -> None:
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    assert weighted_kappa(one, other) == pytest.approx(weighted_kappa(other, one))
    assert weighted_kappa(one, other) <= 1
    assert weighted_kappa(one, one) == 1


def test_kappa_by_hand() -> None:
    # Observed disagreement 1/4 (one pair of four differs by 1), expected 1/2: 1 - 0.25 / 0.5.
    assert weighted_kappa([1, 1, 2, 2], [1, 1, 2, 1]) == pytest.approx(0.5)
    assert weighted_kappa([1, 2, 3], [2, 2, 2]) == 0.0


def test_an_interval_holds_its_figure_and_narrows_with_more_sessions() -> None:
    chance = np.random.default_rng(1)
    truth = chance.integers(1, 6, 400)
    given = np.clip(truth + chance.integers(-1, 2, 400), 1, 5)
    few, many = agreement_of(truth[:20], given[:20]), agreement_of(truth, given)
    assert few.low <= few.kappa <= few.high
    assert many.high - many.low < few.high - few.low
    both = mean_agreement([(truth, given), (truth[:100], given[:100])])
    assert both.low <= both.kappa <= both.high


def test_a_sign_that_never_changes_weighs_nothing() -> None:
    signs = np.array([[0.1 * n, 7.0] for n in range(12)])
    head = fit_step(signs, np.arange(12) / 3 + 1, 1)
    assert head.level([0.5, 7.0]) == pytest.approx(head.level([0.5, 99.0]), abs=1e-6)
    assert head.level([1.1, 7.0]) > head.level([0.0, 7.0])
