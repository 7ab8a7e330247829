"""Settings: defaults, then the file, then the environment, then what a caller says."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from warmline.settings import PROJECT, Settings


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str) -> None:
    Path("warmline.toml").write_text(text, encoding="utf-8")


def test_a_fresh_clone_needs_no_settings() -> None:
    settings = Settings()
    assert (settings.host, settings.port, settings.backend) == ("127.0.0.1", 8000, "auto")
    assert settings.personas_dir == PROJECT / "personas"
    assert settings.database == PROJECT / "transcripts" / "warmline.db"
    assert (PROJECT / "app.py").is_file()


def test_the_file_goes_before_the_defaults() -> None:
    write('port = 9000\nbackend = "embedded"\npersonas_dir = "mine"\n')
    settings = Settings()
    assert (settings.port, settings.backend) == (9000, "embedded")
    assert settings.personas_dir == Path("mine")


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write('port = 9000\nhost = "0.0.0.0"\n')
    monkeypatch.setenv("WARMLINE_PORT", "9001")
    settings = Settings()
    assert (settings.port, settings.host) == (9001, "0.0.0.0")
    assert Settings(port=9002).port == 9002


def test_the_transcripts_folder_holds_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMLINE_TRANSCRIPTS_DIR", "elsewhere")
    assert Settings().database == Path("elsewhere/warmline.db")


WRONG = [
    ("backend", "gpt"),
    ("port", "0"),
    ("port", "65536"),
    ("port", "many"),
    ("context_length", "100"),
    ("request_timeout_s", "0"),
    ("request_timeout_s", "-3"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_by_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"WARMLINE_{name.upper()}", value)
    with pytest.raises(ValidationError, match=name):
        Settings()
    monkeypatch.delenv(f"WARMLINE_{name.upper()}")
    write(f'{name} = "{value}"')
    with pytest.raises(ValidationError, match=name):
        Settings()


def test_a_misspelt_name_in_the_file_is_refused() -> None:
    write("prot = 9000")
    with pytest.raises(ValidationError, match="prot"):
        Settings()


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())
