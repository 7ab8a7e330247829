"""Settings: defaults, then ``warmline.toml`` where it is run, then ``WARMLINE_…`` variables."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

#: The checkout this package runs from: where personas/, rubrics/ and app.py lie.
PROJECT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """Everything that can be set, with the defaults of a fresh clone."""

    model_config = SettingsConfigDict(
        env_prefix="WARMLINE_", toml_file="warmline.toml", extra="forbid", frozen=True
    )

    backend: Literal["auto", "openai", "ollama", "embedded"] = Field(
        "auto",
        description="`openai`, `ollama`, `embedded`, or `auto`: the OpenAI-compatible server if "
        "its address is set, else Ollama if it runs and has the model, else embedded.",
    )
    openai_url: str = Field(
        "",
        description="Address of an OpenAI-compatible server, with its /v1: "
        "`http://192.168.1.20:8000/v1`.",
    )
    openai_model: str = Field(
        "", description="The name of the model there; empty: the first that the server lists."
    )
    openai_key: SecretStr = Field(
        SecretStr(""), description="The API key, for servers that ask for one."
    )
    openai_parallel: int = Field(
        8, ge=1, le=256, description="How many requests that server is sent at once."
    )
    ollama_model: str = Field("qwen2.5:7b", description="The name of the model in Ollama.")
    ollama_host: str = Field("http://127.0.0.1:11434", description="Where Ollama listens.")
    embedded_model: str = Field(
        "builtin",
        description="`builtin`, the path of a GGUF file, or `owner/repository:file.gguf` on a hub.",
    )
    judge: str = Field(
        "model",
        description="What answers checks: `model` (the language model), or a decision model: the "
        "address of a server with /v1/systemone, or the path of a GGUF file.",
    )
    ask_checks: Literal["where_needed", "always"] = Field(
        "where_needed",
        description="`where_needed`: only the checks of steps that the learned judge knows "
        "nothing of are asked; `always`: those of every step, and both are weighed.",
    )
    context_length: int = Field(
        8192, ge=2048, le=131072, description="Tokens the model may hold per conversation."
    )
    request_timeout_s: float = Field(
        180.0, gt=0, description="Longest wait for the model, in seconds."
    )
    host: str = Field("127.0.0.1", description="The address the server binds.")
    port: int = Field(8000, ge=1, le=65535, description="The port the server binds.")
    public_url: str | None = Field(
        None,
        pattern="^https?://[^/]+$",
        description="The address people type, where a proxy stands before the server: "
        "`https://practice.example.org`.",
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses of proxies that may say whom a request comes from, with commas.",
    )
    login_hours: float = Field(12.0, gt=0, le=720, description="How long a sign-in lasts.")
    retention_days: int | None = Field(
        None,
        ge=1,
        description="Sessions in which nothing happened for so many days are deleted; without "
        "it, they stay until somebody deletes them.",
    )
    personas_dir: Path = Field(PROJECT / "personas", description="The folder of personas.")
    rubrics_dir: Path = Field(PROJECT / "rubrics", description="The folder of rubrics.")
    transcripts_dir: Path = Field(
        PROJECT / "transcripts", description="The folder of the database and of exports."
    )
    cache_dir: Path = Field(
        Path(platformdirs.user_cache_dir("warmline", appauthor=False)),
        description="Where the embedded model's weights are kept.",
    )

    @property
    def database(self) -> Path:
        """The one SQLite file."""
        return self.transcripts_dir / "warmline.db"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the settings file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
