"""Everything of one person: as a file of their own, and gone without a trace."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fakes import ScriptedBackend
from snapshots import small_persona
from test_database import places_of
from test_review import RUBRIC, STEPS, Room
from warmline.cli import main
from warmline.errors import WarmlineError
from warmline.export import export_session
from warmline.people import User
from warmline.records import everything, moods_of, record
from warmline.retention import forget_person
from warmline.store import Store
from warmline.transcript import read_transcripts

NORA = small_persona().item

#: Words of the trainee who goes, each of which stands in another place.
WORDS = ["quokkaberry", "zephyrlantern", "cobaltheron"]
OTHERS = ["heliotropegoat", "umberpelican"]


class Team(Room):
    """Mira and Nils practise; Joan and Kit coach them; all of it is in the database."""

    async def of_mira_and_nils(self) -> Team:
        await self.fill()
        people = self.accounts.people
        nils = await people.add("nils", ["trainee"], ["support"], "password", "x")
        for user, words in ((self.who["mira"].user, WORDS), (nils, OTHERS)):
            await self._practise(user, words)
        return self

    async def _practise(self, user: User, words: list[str]) -> None:
        from warmline.accounts import Who

        name, joan = user.identifier, self.who["joan"]
        self.who[name] = Who(user, user.roles, local=False)
        mira, self.who["mira"] = self.who["mira"], self.who[name]
        await self.start(f"{name}-1", {})
        await self.start(f"{name}-2", {STEPS[0]: "unclear"})
        self.who["mira"] = mira
        session = f"{name}-1"
        await self.store.add_turn(session, "agent", f"I heard about {words[0]}.")
        await self.store.add_turn(
            session, "customer", "Never.", source="model", bracket="cold",
            rejected=[f"{words[1]} I nearly said"],
        )  # fmt: skip
        await self.store.rename_session(session, f"About {words[0]}")
        await self.store.keep_answer(session, "r", "d", words[1], ("step", "check", 1), 0.4321)
        for kind in ("one", "two"):
            coach = self.who["joan" if kind == "one" else "kit"]
            await self.reviews.see(coach, session)
        await self.reviews.override(joan, session, STEPS[0], "unclear", f"Not the {words[-1]}.")
        await self.reviews.comment(joan, session, f"Well said about {words[-1]}.", 1)
        await self.reviews.grade_blind(
            self.who["kit"], f"{name}-2", dict.fromkeys(STEPS, "unclear")
        )
        await self.accounts.people.add_login(user.id, "2099-01-01T00:00:00.000Z")
        await self.accounts.people.attempt(name, "192.0.2.7", "2020-01-01", 5, 30)
        await self.rows(
            "INSERT OR IGNORE INTO assignments VALUES ('a', ?, 'nora-heating', 'small', "
            "'2099-01-01', 70, 2, 'Take your time.', '2030-01-01', NULL)", joan.user.id,
        )  # fmt: skip
        await self.rows("INSERT INTO assigned VALUES ('a', ?)", user.id)
        await self.rows("UPDATE users SET password_hash = ? WHERE id = ?", f"hash-{name}", user.id)
        await self.rows(
            "INSERT INTO submissions (assignment_id, user_id, session_id, at) "
            "VALUES ('a', ?, ?, '2030-01-02')", user.id, session,
        )  # fmt: skip
        await self.rows("UPDATE sessions SET assignment_id = 'a' WHERE id = ?", session)

    async def rows(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        def work(db: Any) -> list[tuple[Any, ...]]:
            with db.atomic():
                return list(db.execute(sql, args).fetchall())

        return await self.store.database.run(work)

    async def all_of(self, user: User, session_ids: list[str]) -> dict[str, list[tuple[Any, ...]]]:
        """Every row that names a person or one of their sessions, by table."""
        found = {}
        for table, column in (
            ("users", "id"), ("user_roles", "user_id"), ("team_members", "user_id"),
            ("logins", "user_id"), ("sessions", "user_id"), ("assigned", "user_id"),
            ("submissions", "user_id"),
        ):  # fmt: skip
            found[table] = await self.rows(f"SELECT * FROM {table} WHERE {column} = ?", user.id)
        for table in ("turns", "grades", "edits", "step_results"):
            marks = ", ".join("?" * len(session_ids))
            sql = f"SELECT * FROM {table} WHERE session_id IN ({marks})"
            found[table] = await self.rows(sql, *session_ids)
        found["answers"] = await self.rows(
            f"SELECT * FROM answers WHERE subject IN ({marks})", *session_ids
        )
        found["login_failures"] = await self.rows(
            "SELECT * FROM login_failures WHERE identifier = ?", user.identifier
        )
        return found


@pytest.fixture
async def team(store: Store) -> Team:
    return await Team(store).of_mira_and_nils()


def keys_of(value: object) -> set[str]:
    """Every key anywhere in it."""
    if isinstance(value, dict):
        return set(value) | {key for one in value.values() for key in keys_of(one)}
    if isinstance(value, list):
        return {key for one in value for key in keys_of(one)}
    return set()


# Everything of one person


async def test_the_file_has_all_of_theirs_and_nothing_of_anybody_elses(team: Team) -> None:
    mira = await team.accounts.people.find("mira")
    assert mira is not None
    kept = await everything(team.reader, mira)
    assert kept["account"] == {
        "id": mira.id, "name": "mira", "created_at": mira.created_at, "roles": ["trainee"],
        "teams": ["support"], "signs_in_with": "password", "disabled_at": None,
    }  # fmt: skip
    by_id = {one["id"]: one for one in kept["conversations"]}
    assert set(by_id) == {"mira-1", "mira-2"}
    first = by_id["mira-1"]
    assert [turn["text"] for turn in first["turns"]] == [
        NORA.opening, "I hear you in mira-1.", "Thank you.",
        f"I heard about {WORDS[0]}.", "Never.",
    ]  # fmt: skip
    assert set(first["turns"][0]) == {"id", "number", "role", "text", "at", "partial"}
    assert first["feedback"]["total"] is not None
    changed = first["feedback"]["steps"][0]
    assert (changed["changed_by"], changed["status"]) == ("joan", "unclear")
    said = {(edit["coach"], edit["kind"], edit["words"]) for edit in first["edits"]}
    assert ("joan", "comment", f"Well said about {WORDS[-1]}.") in said
    assert ("kit", "seen", "") in said
    assert {edit["after"] for edit in by_id["mira-2"]["edits"] if edit["kind"] == "blind"} == {
        "unclear"
    }
    assert (first["assignment_id"], first["feedback"]["pass_mark"]) == ("a", RUBRIC.pass_mark)
    (assigned,) = kept["assigned"]
    assert (assigned["note"], assigned["by_coach"]) == ("Take your time.", "joan")
    assert [one["session_id"] for one in kept["handed_in"]] == ["mira-1"]
    assert len(kept["sign_ins"]) == 1
    assert [one["address"] for one in kept["failed_sign_ins"]] == ["192.0.2.7"]
    assert kept["wrote_as_coach"] == kept["assigned_as_coach"] == []
    text = json.dumps(kept)
    for other in (*OTHERS, "nils"):
        assert other not in text


async def test_the_file_hides_what_the_persona_hides(team: Team) -> None:
    mira = team.who["mira"].user
    kept = await everything(team.reader, mira)
    text = json.dumps(kept)
    hidden = [
        NORA.story, NORA.wants, NORA.voice, *(fact.says for fact in NORA.facts),
        *(line for rung in NORA.ladder for line in rung.lines), WORDS[1], "0.4321", "hash-mira",
    ]  # fmt: skip
    assert [words for words in hidden if words and json.dumps(words)[1:-1] in text] == []
    assert keys_of(kept).isdisjoint(
        {"state", "mood", "bracket", "source", "rejected", "checks", "probability", "seed",
         "password_hash", "digest", "story", "facts", "ladder"}
    )  # fmt: skip
    # It could have been seen: the same session for a coach has the moods.
    view = await team.reader.view("mira-1")
    coachs = record(view, NORA, None, [], moods_of(view.turns))
    assert NORA.start in json.dumps(coachs)
    assert "mood" in keys_of(coachs)


async def test_a_coach_gets_what_they_wrote_themselves(team: Team) -> None:
    kept = await everything(team.reader, team.who["joan"].user)
    assert kept["conversations"] == []
    wrote = {one["words"] for one in kept["wrote_as_coach"]}
    assert f"Well said about {WORDS[-1]}." in wrote
    (given,) = kept["assigned_as_coach"]
    assert given["note"] == "Take your time."
    assert "I heard about" not in json.dumps(kept)


async def test_a_session_of_the_file_can_be_graded_again(team: Team, tmp_path: Path) -> None:
    kept = await everything(team.reader, team.who["mira"].user)
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps(kept["conversations"]), encoding="utf-8")
    assert {one.id: len(one.turns) for one in read_transcripts(file)} == {"mira-1": 5, "mira-2": 3}


# Gone


async def test_a_person_is_gone_and_another_is_as_before(team: Team, tmp_path: Path) -> None:
    mira, nils = team.who["mira"].user, team.who["nils"].user
    ids, other_ids = ["mira-1", "mira-2"], ["nils-1", "nils-2"]
    before = await team.all_of(nils, other_ids)
    assert all((await team.all_of(mira, ids)).values())
    assert all(before.values())
    for session in (*ids, *other_ids):
        await export_session(team.reader, session, tmp_path / "export")
    assert await forget_person(team.store, mira, tmp_path) == 2
    gone = await team.all_of(mira, ids)
    assert {table: rows for table, rows in gone.items() if rows} == {}
    assert await team.all_of(nils, other_ids) == before
    assert len(list((tmp_path / "export").iterdir())) == 4
    # The counts that a team's numbers are made of are those of the rows that are left.
    for table in ("step_results", "submissions", "assigned"):
        ((count,),) = await team.rows(f"SELECT COUNT(*) FROM {table}")
        assert count == len(before[table])
    assert await team.store.search(WORDS[0]) == []
    assert len(await team.store.search(OTHERS[0])) == 1
    assert await team.rows("SELECT COUNT(*) FROM assignments") == [(1,)]
    await team.store.database.check()


async def test_nothing_of_a_person_is_left_in_any_byte(team: Team, tmp_path: Path) -> None:
    mira = team.who["mira"].user
    words = [*WORDS, "mira-1", "hash-mira", mira.id, "192.0.2.7"]
    await team.rows("DELETE FROM login_failures WHERE identifier != 'mira'")
    await export_session(team.reader, "mira-1", tmp_path / "export")
    assert {where.split()[0] for where in places_of(words, tmp_path)} == {*words}
    await forget_person(team.store, mira, tmp_path)
    assert places_of(words, tmp_path) == []
    assert len(places_of(OTHERS, tmp_path)) >= 2
    await team.store.close()
    assert places_of(words, tmp_path) == []
    team.store.database = await type(team.store.database).open(tmp_path / "warmline.db")


async def test_what_a_coach_did_stays_without_their_name(team: Team, tmp_path: Path) -> None:
    before = await team.stands("mira-1")
    edits = await team.reviews.edits.of("mira-1")
    await forget_person(team.store, team.who["joan"].user, tmp_path)
    after = await team.reviews.edits.of("mira-1")
    assert [(one.kind, one.words) for one in after] == [(one.kind, one.words) for one in edits]
    assert {one.coach for one in after} == {"somebody who left", "kit"}
    assert await team.stands("mira-1") == before
    assert await team.rows("SELECT coach_id FROM assignments") == [(None,)]


async def test_the_last_admin_stays_while_there_are_others(team: Team, tmp_path: Path) -> None:
    people = team.accounts.people
    await team.accounts.set_roles("mira", ["trainee", "admin"])
    mira = await people.user(team.who["mira"].user.id)
    await export_session(team.reader, "mira-1", tmp_path / "export")
    before = await team.all_of(mira, ["mira-1", "mira-2"])
    with pytest.raises(WarmlineError, match=r"mira is the last admin\. Make somebody else one"):
        await forget_person(team.store, mira, tmp_path)
    assert await team.all_of(mira, ["mira-1", "mira-2"]) == before
    assert len(list((tmp_path / "export").iterdir())) == 2
    # An admin who cannot sign in is none.
    await team.accounts.set_roles("nils", ["admin"])
    await team.accounts.disable("nils")
    with pytest.raises(WarmlineError, match="last admin"):
        await forget_person(team.store, mira, tmp_path)
    await team.accounts.disable("nils", disabled=False)
    await forget_person(team.store, mira, tmp_path)
    assert await people.find("mira") is None


async def test_whoever_is_alone_can_go(team: Team, tmp_path: Path) -> None:
    await team.accounts.set_roles("mira", ["admin"])
    for name in ("nils", "joan", "kit", "mira"):
        await forget_person(team.store, team.who[name].user, tmp_path)
    assert await team.rows("SELECT COUNT(*) FROM users") == [(0,)]
    assert await team.rows("SELECT COUNT(*) FROM turns") == [(0,)]


# The commands


Run = Callable[..., Result]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The folder of a database with the team in it."""

    async def fill() -> None:
        store = await Store.open(tmp_path / "kept" / "warmline.db")
        await Team(store).of_mira_and_nils()
        await store.close()

    asyncio.run(fill())
    return tmp_path / "kept"


@pytest.fixture
def run(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WARMLINE_TRANSCRIPTS_DIR", str(kept))

    async def none(settings: object) -> ScriptedBackend:
        raise AssertionError("no model is needed here")

    monkeypatch.setattr("warmline.cli.console.open_backend", none)

    def invoke(*args: str, input: str | None = None) -> Result:
        return CliRunner().invoke(main, args, input=input)

    return invoke


def users(kept: Path) -> list[str]:
    with closing(sqlite3.connect(kept / "warmline.db")) as db:
        return [name for (name,) in db.execute("SELECT identifier FROM users ORDER BY identifier")]


def test_a_person_is_exported_to_a_new_file_of_ones_own(run: Run, tmp_path: Path) -> None:
    done = run("user", "export", "Mira ", "out/mira.json")
    assert done.exit_code == 0, done.output
    assert "2 conversations of mira" in done.output
    file = tmp_path / "out" / "mira.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text(encoding="utf-8"))["account"]["name"] == "mira"
    before = file.read_bytes()
    again = run("user", "export", "nils", "out/mira.json")
    assert again.exit_code == 1
    assert "is there already, and was left as it is" in again.stderr
    assert file.read_bytes() == before
    nobody = run("user", "export", "nobody", "nobody.json")
    assert nobody.exit_code == 1
    assert "nobody called nobody" in nobody.stderr
    assert not (tmp_path / "nobody.json").exists()


def test_a_person_is_forgotten_after_a_yes(run: Run, kept: Path) -> None:
    (kept / "warmline-before-2030.db").write_bytes(b"x")
    for no in ("n\n", ""):
        assert run("user", "forget", "mira", input=no).exit_code == 1
        assert users(kept) == ["joan", "kit", "mira", "nils"]
    done = run("user", "forget", "mira", input="y\n")
    assert done.exit_code == 0, done.output
    assert "Delete mira and 2 conversations for good?" in done.output
    assert "Deleted mira and 2 conversations." in done.output
    assert "warmline-before-2030.db, which a restore kept aside" in done.output
    assert "last account" not in done.output
    assert users(kept) == ["joan", "kit", "nils"]
    assert run("user", "forget", "mira", "--yes").exit_code == 1
    for name in ("joan", "kit"):
        assert run("user", "forget", name, "--yes").exit_code == 0
    assert (
        "whoever opens the page now has every role" in run("user", "forget", "nils", "--yes").output
    )
    assert users(kept) == []


def test_the_last_admin_is_told_what_to_do(run: Run, kept: Path) -> None:
    assert run("user", "role", "mira", "admin").exit_code == 0
    done = run("user", "forget", "mira", "--yes")
    assert done.exit_code == 1
    assert "warmline user role NAME admin" in done.stderr
    assert "mira" in users(kept)


def test_results_are_exported_as_statements(run: Run, tmp_path: Path) -> None:
    done = run("export", "--xapi", "out/statements.json")
    assert done.exit_code == 0, done.output
    assert "Wrote 4 statements" in done.output
    assert "http://localhost" in done.output
    file = tmp_path / "out" / "statements.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    made = json.loads(file.read_text(encoding="utf-8"))
    assert {one["actor"]["account"]["name"] for one in made} == {"mira", "nils"}
    assert not any(word in file.read_text(encoding="utf-8") for word in (*WORDS, *OTHERS))
    assert not (tmp_path / "kept" / "export").exists()
    assert run("export", "--xapi", "again.json").exit_code == 0
    assert (tmp_path / "again.json").read_bytes() == file.read_bytes()
    one = run("export", "--xapi", "one.json", "--session", "mira-1")
    assert "Wrote 1 statements" in one.output
    for wrong, why in (
        (("--xapi", "again.json"), "is there already"),
        (("--xapi", "x.json", "--to", "y"), "--to or --xapi"),
        (("--xapi", "x.json", "--session", "nobody"), "No session nobody"),
    ):
        refused = run("export", *wrong)
        assert refused.exit_code == 1
        assert why in refused.stderr
    assert not (tmp_path / "x.json").exists()


def test_every_command_about_people_shows_an_example(run: Run) -> None:
    for name in ("export", "forget"):
        assert f"Example: warmline user {name} mira" in run("user", name, "--help").output
