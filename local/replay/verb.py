"""The verb: look before sending, send, reconcile.

Everything is safe to repeat. Customers are enrolled under a key of their own and purchases carry order numbers that
follow from the file, so whatever was recorded before an interruption is answered as a replay the next time.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local import reconcile
from local.replay import rows
from local.replay.crew import CURRENCY, Crew, Errand, Tally, paced
from local.replay.rows import TIME_ZONE, Contents, examine
from local.replay.wire import Answer, Broken, Silent, Wire
from local.settings import Settings, environment, settings
from local.tokens import make_token

MEMORY = "replay.json"
"""What a data folder remembers of the files replayed into it."""

TERMS: dict[str, Any] = {
    "name": {"zh": "唱片俱乐部", "en": "Record Club"},
    "currency": CURRENCY,
    "country": "US",
    "time_zone": TIME_ZONE.key,
    "language": "en",
    "earn_rate": {"points": 1, "per_minor": 100, "rounding": "down"},
    "point_value": {"points": 100, "minor": 100},
    "ladder": {
        "tiers": [
            {"tier_id": "basic", "name": {"zh": "普通会员", "en": "Basic"}, "threshold": 0},
            {"tier_id": "silver", "name": {"zh": "银卡", "en": "Silver"}, "threshold": 100, "multiplier_percent": 110},
            {"tier_id": "gold", "name": {"zh": "金卡", "en": "Gold"}, "threshold": 500, "multiplier_percent": 125},
            {
                "tier_id": "diamond",
                "name": {"zh": "钻石", "en": "Diamond"},
                "threshold": 1500,
                "multiplier_percent": 150,
            },
        ]
    },
}
"""A US record club; thresholds at which these customers fill every tier."""


class CannotReplay(Exception):
    """Nothing was sent; the message is for a person."""


def main(arguments: Sequence[str]) -> int:
    """Replay a file, and give the exit code: 0 only when every row was taken and everything reconciles."""
    env = environment()
    asked = _parser(env).parse_args(arguments)
    chosen = settings()
    try:
        path = _file(asked.file)
        contents = _examined(path)
        wire = _connected(chosen)
        _dollars(wire, _program(wire, chosen))
        shift_days = _shift(chosen.data_dir / MEMORY, path, contents, asked.shift)
    except CannotReplay as problem:
        print(problem, file=sys.stderr)
        return 2
    except Silent as silent:
        print(f"The server at {chosen.url} does not answer as it should: {silent}", file=sys.stderr)
        return 2
    errand = Errand(path, shift_days, "127.0.0.1", chosen.port, _token(chosen), asked.clients)
    tally = _sent(errand, contents)
    if tally is None:
        return 1
    exact = reconcile.file(chosen, path, shift_days, answers=tally)
    return 0 if exact and not tally.refused else 1


def _parser(env: dict[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local replay")
    parser.add_argument("--file", default=env.get("FILE"), help=f"a CSV file with {rows.HEADER}")
    parser.add_argument("--shift", default=env.get("SHIFT") or "none", choices=("none", "today"))
    parser.add_argument("--clients", type=_clients, default=env.get("CLIENTS") or "8", metavar="N")
    return parser


def _clients(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError("has to be a number from 1 to 64")
    return int(text)


# ---------------------------------------------------------------- looking


def _file(name: str | None) -> Path:
    if not name:
        raise CannotReplay("Say which file: make replay FILE=../shared/data/cdnow/purchases.csv")
    path = Path(name).resolve()
    if not path.is_file():
        raise CannotReplay(f"There is no file {path}.")
    return path


def _examined(path: Path) -> Contents:
    contents, bad = examine(path)
    if contents is None:
        shown = "\n".join(f"  line {each.line}: {each.why}" for each in bad[: rows.BAD_ROWS_SHOWN])
        more = len(bad) - rows.BAD_ROWS_SHOWN
        shown += f"\n  … and {more} more" if more > 0 else ""
        raise CannotReplay(f"{path}: {len(bad)} bad row{'s' * (len(bad) != 1)}, nothing was sent.\n{shown}")
    return contents


def _token(chosen: Settings) -> str:
    keys: dict[str, str] = json.loads(chosen.keys_file.read_text())
    return make_token(keys, "admin", sub="stf_replay")


def _connected(chosen: Settings) -> Wire:
    how = f"make run SEED=none PORT={chosen.port} DATA_DIR={chosen.data_dir}"
    if not chosen.keys_file.exists():
        raise CannotReplay(f"Nothing ever ran from {chosen.data_dir}. Start it first: {how}")
    wire = Wire("127.0.0.1", chosen.port, _token(chosen))
    for _ in range(20):
        try:
            wire.ask("GET", "/v1/health")
        except Broken:
            time.sleep(0.1)
        else:
            return wire
    raise CannotReplay(f"Nothing answers at {chosen.url}. Start it first: {how}")


def _program(wire: Wire, chosen: Settings) -> dict[str, Any]:
    answer = wire.insist("GET", "/v1/program")
    if answer.status == 401:
        raise CannotReplay(f"The server at {chosen.url} does not run from {chosen.data_dir}: it refuses its tokens.")
    return _told(answer)


def _dollars(wire: Wire, program: dict[str, Any]) -> None:
    """See that the program is one in dollars; where no purchase was recorded yet, make it the replay's own."""
    if program["currency"] == CURRENCY:
        return
    answer = wire.insist("PUT", "/v1/program", json.dumps(TERMS | {"version": program["version"]}).encode())
    if answer.status == 409:
        raise CannotReplay(
            f"The program in this data folder is kept in {program['currency']}, and purchases were recorded in it; "
            f"the file is in {CURRENCY}. Replay into a fresh folder: make run SEED=none DATA_DIR=…"
        )
    _told(answer)
    print(f"The program is now {TERMS['name']['en']}, in {CURRENCY}.")


def _told(answer: Answer) -> dict[str, Any]:
    if answer.status != 200:
        raise CannotReplay(f"The server answers {answer.status}: {answer.body[:300].decode(errors='replace')}")
    told: dict[str, Any] = json.loads(answer.body)
    return told


def _shift(memory: Path, path: Path, contents: Contents, asked: str) -> int:
    """By how many days the file's dates are moved: so that its last sale was yesterday, or not at all.

    The first replay of a file into a data folder decides for all of them, because a purchase that was recorded with
    one date cannot be sent again with another; so a replay that goes on after midnight moves nothing anew.
    """
    known: dict[str, Any] = json.loads(memory.read_text()) if memory.exists() else {}
    before = known.get(contents.digest)
    if before is not None:
        shift_days = int(before["shift_days"])
        if (asked == "today") != bool(shift_days):
            how = f"moved by {shift_days} days" if shift_days else "as they are"
            raise CannotReplay(
                f"This file was replayed into {memory.parent} with its dates {how}; go on "
                f"{'with' if shift_days else 'without'} SHIFT=today, or use a fresh DATA_DIR."
            )
        return shift_days
    yesterday = datetime.now(UTC).astimezone(TIME_ZONE).date() - timedelta(days=1)
    shift_days = (yesterday - contents.last_on).days if asked == "today" else 0
    known[contents.digest] = {"file": str(path), "shift_days": shift_days}
    draft = memory.with_name(f".{memory.name}.{os.getpid()}")
    draft.write_text(json.dumps(known, indent=2) + "\n")
    draft.replace(memory)
    return shift_days


# ---------------------------------------------------------------- sending


def _sent(errand: Errand, contents: Contents) -> Tally | None:
    """Send everything; what the answers came to, or None when the server stayed away."""
    moved = f"dates moved by {errand.shift_days} days" if errand.shift_days else "dates as they are"
    print(
        f"{contents.rows:,} purchases of {contents.customers:,} customers, {moved}, {errand.clients} clients.",
        flush=True,
    )
    crew = Crew(errand)
    crew.start()
    try:
        seconds = paced(crew, contents.rows, say=Progress())
    except KeyboardInterrupt:
        crew.stop()
        print("\nStopped; the same command goes on from here.", file=sys.stderr)
        return None
    _report(crew)
    if crew.failed:
        print("The replay is not through; the same command goes on from here.", file=sys.stderr)
        return None
    tally = crew.tally
    print(
        f"{tally.rows:,} rows in {seconds:.1f} s: {tally.rows / seconds:,.0f} rows/s; "
        f"{tally.rows - tally.replayed - tally.refused:,} new, {tally.replayed:,} replayed, {tally.refused:,} refused."
    )
    return tally


def _report(crew: Crew) -> None:
    for refused in sorted(crew.refused, key=lambda each: each.line)[: rows.BAD_ROWS_SHOWN]:
        print(f"  line {refused.line} was refused, {refused.why}", file=sys.stderr)
    for trouble in dict.fromkeys(crew.troubles):
        print(trouble, file=sys.stderr)


class Progress:
    """A bar that rewrites itself on a terminal; a line now and then elsewhere."""

    _EVERY = 10.0

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._next = 0.0

    def __call__(self, tally: Tally, of: int, seconds: float) -> None:
        """Tell how far it is."""
        over = tally.rows >= of
        if not self._terminal and (seconds < self._next or over):
            return
        self._next = seconds + self._EVERY
        rate = tally.rows / seconds if seconds else 0.0
        left = f"{(of - tally.rows) / rate:,.0f} s left" if rate else "…"
        filled = "█" * (24 * tally.rows // of)
        text = f"{filled:░<24} {100 * tally.rows // of:3} %  {tally.rows:,} rows  {rate:,.0f} rows/s  {left}"
        print(f"\r{text:<78}" if self._terminal else text, end="" if self._terminal and not over else "\n", flush=True)
