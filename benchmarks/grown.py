"""Whether lists stay quick as the database grows: the pages' time at the server, at two sizes.

For each size a database is filled (`tests/seeded.py`), a real server is started on it, and a coach
of all trainees and one trainee ask for their pages again and again, one at a time. What is given is
the median time from request to answer in milliseconds, and how much longer it takes in the large
database than in the small one.

    .venv/bin/python benchmarks/grown.py [--sizes 5000 50000] [--trainees 200] [--times 9] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

from ollama_stub import Script, running_stub  # noqa: E402
from seeded import TURNS, seed  # noqa: E402
from served import Server  # noqa: E402
from warmline.accounts import Accounts  # noqa: E402
from warmline.people import People  # noqa: E402
from warmline.store import Store  # noqa: E402

PASSWORD = "correct horse battery"
COACH = "joan"

#: What is asked for, by whom. The words stand in very many turns, in some, and in none.
PAGES = {
    "list": (COACH, "/desk"),
    "list, the next page": (COACH, "/desk?before={session}"),
    "list, one trainee": (COACH, "/desk?trainee={trainee}"),
    "list, not reviewed": (COACH, "/desk?not_reviewed=1"),
    "list, unclear and not passed": (COACH, "/desk?unclear=1&passed=no"),
    "list, nothing fits": (COACH, "/desk?persona=nobody"),
    "search, a word in most conversations": (COACH, "/desk?words=i"),
    "search, a word in many": (COACH, "/desk?words=refund"),
    "search, a word in some": (COACH, "/desk?words=lisbon"),
    "search, two words of one trainee": (COACH, "/desk?words=husband+june&trainee={trainee}"),
    "search, a word in none": (COACH, "/desk?words=zebra"),
    "one session": (COACH, "/desk/{session}"),
    "agreement": (COACH, "/desk/agreement"),
    "team page": (COACH, "/desk/team"),
    "team page, a step": (COACH, "/desk/team/steps/core/acknowledge"),
    "team page, its chart": (COACH, "/desk/team/trend/core"),
    "team page, a step's chart": (COACH, "/desk/team/trend/core/acknowledge"),
    "progress page": ("{trainee}", "/progress"),
    "progress page, a step's chart": ("{trainee}", "/progress/steps/core/acknowledge"),
    "beside the time before": ("{trainee}", "/progress/{own}"),
}


async def fill(folder: Path, trainees: int, sessions: int) -> tuple[str, str, str]:
    """Fill a database; returns a trainee's name, a session of theirs, and the newest of all."""
    file = folder / "transcripts" / "warmline.db"
    store = await Store.open(file)
    people = People(store.database)
    accounts = Accounts(people, loopback=True)
    names = [f"trainee-{number:03}" for number in range(trainees)]
    await accounts.add(COACH, ["coach"], ["team"], password=PASSWORD)
    await accounts.add(names[0], ["trainee"], ["team"], password=PASSWORD)
    for name in names[1:]:
        # Nobody signs in as these.
        await people.add(name, ["trainee"], ["team"], "password", "none")
    await store.close()
    began = time.perf_counter()
    seed(file, names, sessions, coach=COACH)
    took, size = time.perf_counter() - began, file.stat().st_size / 2**20
    turns = sessions * TURNS
    print(f"{sessions} sessions, {turns} turns: {size:.0f} MiB, filled in {took:.0f} s", flush=True)
    store = await Store.open(file)
    user = await people_id(store, names[0])
    own = (await store.sessions(user, limit=1))[0].id
    newest = (await store.sessions(limit=1))[0].id
    await store.close()
    return names[0], own, newest


async def people_id(store: Store, name: str) -> str:
    """The id of a user."""
    user = await People(store.database).find(name)
    assert user is not None
    return user.id


def measure(address: str, names: dict[str, str], times: int) -> dict[str, float]:
    """The median time of each page, in milliseconds."""
    clients = {}
    for name in (COACH, names["trainee"]):
        clients[name] = httpx.Client(base_url=address, timeout=60)
        answer = clients[name].post("/login", data={"username": name, "password": PASSWORD})
        answer.raise_for_status()
    found = {}
    for what, (who, path) in PAGES.items():
        client, asked = clients[who.format(**names)], path.format(**names)
        took = []
        for _ in range(times + 1):
            began = time.perf_counter()
            answer = client.get(asked)
            took.append(1000 * (time.perf_counter() - began))
            answer.raise_for_status()
        # The first one reads from the disk what the others find in memory.
        found[what] = statistics.median(took[1:])
    for client in clients.values():
        client.close()
    return found


def main() -> None:
    """Fill, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 50_000])
    parser.add_argument("--trainees", type=int, default=200)
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[int, dict[str, float]] = {}
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as name, running_stub(Script()) as stub:
            folder = Path(name)
            trainee, own, newest = asyncio.run(fill(folder, options.trainees, size))
            server = Server(
                folder, {"WARMLINE_BACKEND": "ollama", "WARMLINE_OLLAMA_HOST": stub.host}
            )
            server.start()
            try:
                names = {"trainee": trainee, "own": own, "session": newest}
                found[size] = measure(server.address, names, options.times)
            finally:
                server.stop()
    if options.json:
        print(json.dumps(found, indent=2))
        return
    small, large = min(found), max(found)
    print(f"{'median, ms':40}" + "".join(f"{size:>10}" for size in sorted(found)) + "     times")
    for what in PAGES:
        numbers = "".join(f"{found[size][what]:10.0f}" for size in sorted(found))
        print(f"{what:40}{numbers}{found[large][what] / found[small][what]:10.1f}")


if __name__ == "__main__":
    main()
