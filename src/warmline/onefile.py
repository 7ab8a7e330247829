"""Reading one text file, and writing one in a single step."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from warmline.errors import WarmlineError


def read_text(file: Path) -> str | None:
    """The text of a file; None if there is none.

    Raises:
        WarmlineError: if it cannot be read as text.
    """
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise WarmlineError(
            f"{file.name} cannot be read as text. Mend, rename or remove that file first."
        ) from error


def write_text(file: Path, text: str) -> None:
    """Put a text in a file in one step: it holds the old one or the new one, whatever happens."""
    # A link to a file elsewhere stays one.
    target = file.resolve()
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=".new")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as unfinished:
                unfinished.write(text)
                unfinished.flush()
                os.fsync(unfinished.fileno())
            Path(name).chmod(mode)
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise WarmlineError(
            f"{file.name} cannot be written: {error.strerror or error}. The draft is kept. "
            "Tell whoever runs Warmline here."
        ) from error
