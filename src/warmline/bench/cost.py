"""What a session's grading costs: counted in calls and tokens of one run, never in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from warmline.backends.base import Usage
from warmline.grader.grading import Grader
from warmline.transcript import Transcript


@dataclass(frozen=True)
class Cost:
    """Counts for one session: ``before`` the trainee pressed Finish, and ``after``.

    ``without_reuse`` is how many tokens a run would evaluate that reads every prompt anew.
    """

    calls: int
    before: int
    after: int
    without_reuse: int

    @property
    def evaluated(self) -> int:
        """Tokens that the engine had to read for the whole grade."""
        return self.before + self.after

    @property
    def share_after(self) -> float:
        """The share of the work that was left for after Finish."""
        return self.after / self.evaluated if self.evaluated else 0.0

    @property
    def share_of_all(self) -> float:
        """Evaluated tokens over those of a run without any reuse."""
        return self.evaluated / self.without_reuse if self.without_reuse else 0.0


async def cost_of(grader: Grader, transcript: Transcript) -> Cost:
    """Grade a session as the practice room does: each reply in the background, then the finish.

    Raises:
        BackendError: when the model cannot answer.
        NotGraded: when there is too little to grade.
    """
    backend = grader.backend
    assert backend is not None
    await grader.prepare()
    start = _read(backend.usage)
    for turn in transcript.agent_turns():
        # While the trainee reads and types, nothing of what comes later is known.
        await grader.read_turn(_until(transcript, turn), turn)
    middle = _read(backend.usage)
    async for step in grader.grade(transcript):
        assert step is not None
    end = _read(backend.usage)
    return Cost(
        calls=end[0] - start[0],
        before=middle[1] - start[1],
        after=end[1] - middle[1],
        without_reuse=end[2] - start[2],
    )


def _read(usage: Usage) -> tuple[int, int, int]:
    return usage.calls, usage.evaluated_tokens, usage.prompt_tokens


def _until(transcript: Transcript, turn: int) -> Transcript:
    return transcript.model_copy(update={"turns": transcript.turns[: turn + 1]})
