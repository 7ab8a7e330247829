"""Every command in the README does what it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from warmline.settings import PROJECT, Settings

README = (PROJECT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
WARMLINE = [line for line in COMMANDS if line.startswith(".venv/bin/warmline ")]

#: A program that is no part of Warmline.
DATASETTE = "datasette --immutable backups/today.db"

#: What has to be there before some of them.
NEEDED_FIRST = {
    "user list": [["user", "add", "joan"]],
    "restore backups/today.db": [["backup", "backups/today.db"]],
}


def test_the_readme_has_the_commands_we_think() -> None:
    assert [line for line in COMMANDS if line not in WARMLINE] == [
        "make run",
        "make test",
        DATASETTE,
    ]
    assert len(WARMLINE) >= 5


def test_datasette_is_given_a_copy_that_was_made_before() -> None:
    """What it does with the copy is tried with SQLite itself, and with it where it is installed."""
    file = DATASETTE.split()[-1]
    assert COMMANDS.index(f".venv/bin/warmline backup {file}") < COMMANDS.index(DATASETTE)


@pytest.mark.skipif(shutil.which("datasette") is None, reason="datasette is not installed here")
def test_datasette_shows_a_backup(tmp_path: Path) -> None:
    environment = {**os.environ, "WARMLINE_TRANSCRIPTS_DIR": str(tmp_path)}
    backup = str(tmp_path / "today.db")
    made = [str(Path(sys.executable).parent / "warmline"), "backup", backup]
    subprocess.run(made, cwd=PROJECT, env=environment, check=True, capture_output=True)
    shown = [*shlex.split(DATASETTE)[:-1], backup, "--get", "/today.json"]
    done = subprocess.run(shown, capture_output=True, text=True, check=True)
    assert {"sessions", "step_results"} <= {
        one["name"] for one in json.loads(done.stdout)["tables"]
    }


@pytest.mark.parametrize("target", ["run", "test"])
def test_the_two_commands_are_targets_of_the_makefile(target: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {"run": "warmline serve", "test": "pytest"}[target] in done.stdout


@pytest.mark.model
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("line", WARMLINE)
def test_a_command_of_the_readme_works(line: str, builtin_weights: Path, tmp_path: Path) -> None:
    command = shlex.split(line.replace("backups/", f"{tmp_path}/backups/"))
    environment = {
        **os.environ,
        "WARMLINE_BACKEND": "embedded",
        "WARMLINE_EMBEDDED_MODEL": str(builtin_weights),
        "WARMLINE_TRANSCRIPTS_DIR": str(tmp_path),
    }
    command[0] = str(Path(sys.executable).parent / "warmline")
    for first in NEEDED_FIRST.get(" ".join(command[1:3]).replace(str(tmp_path) + "/", ""), []):
        before = [command[0], *(word.replace("backups/", f"{tmp_path}/backups/") for word in first)]
        subprocess.run(
            before, cwd=PROJECT, env=environment, input="a good long one\n", text=True, check=True
        )
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False,
        input="I am so sorry about your husband, Mrs Pell.\n"
        "You were told in June that his line was closed, and we charged you again.\n\n",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


#: Settings whose default is nothing, or differs from machine to machine.
WITHOUT_DEFAULT = {
    "TRANSCRIPTS_DIR", "CACHE_DIR", "OPENAI_URL", "OPENAI_MODEL", "OPENAI_KEY", "PUBLIC_URL",
    "TRUSTED_PROXIES", "RETENTION_DAYS",
}  # fmt: skip


def unwrapped(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def test_every_setting_of_the_readme_exists_and_its_default_is_true() -> None:
    rows = re.findall(r"^\| `WARMLINE_(\w+)`(?:, `WARMLINE_(\w+)`)? \|.*\| (.*) \|$", README, re.M)
    assert rows
    defaults = Settings()
    for first, second, shown in rows:
        for name in filter(None, (first, second)):
            value = getattr(defaults, name.lower())
            written = f"{value:g}" if isinstance(value, float) else str(value)
            if f"`{written}`" not in shown:
                assert name in WITHOUT_DEFAULT, (name, value, shown)
                assert name in {"TRANSCRIPTS_DIR", "CACHE_DIR"} or not unwrapped(value)


def test_the_pictures_are_there() -> None:
    pictures = re.findall(r"!\[.+?\]\((.+?)\)", README)
    assert pictures
    assert all((PROJECT / picture).is_file() for picture in pictures)
