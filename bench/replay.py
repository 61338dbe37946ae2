"""`make replay` of real purchases (CDNOW) into a fresh folder: rows per second, and what the API grows to.

Rows include the enrolments they need. The peer is the emulator's own two-item transactions, taken before and after on
the same database. `ROWS=all` (or a number) says how much of the file is sent.
"""

import csv
import random
import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from bench.earn_rate import Plan, raw_lanes, recorded, turn
from bench.report import Figure, table
from bench.server import Server, serving
from local.settings import ROOT, environment

DATA = ROOT.parent / "shared" / "data" / "cdnow" / "purchases.csv"
GOAL = 0.3
_HEAD = ("customer_id", "purchased_on", "cds", "amount_usd")
_RATE = re.compile(r"([\d,]+) rows in ([\d.]+) s: ([\d,]+) rows/s")


def run(*, quick: bool = False) -> Figure:
    """Replay; the value is rows per second ÷ the emulator's transactions per second."""
    asked = environment().get("ROWS") or "10000"
    limit = 100 if quick else None if asked == "all" else int(asked)
    plan = Plan(2, 0, 10 if quick else 200)
    payloads = recorded(plan)
    with serving() as server:
        lanes = raw_lanes(server.dynamodb, payloads)
        file = server.data_dir / "rows.csv"
        rows = _write(file, limit)
        before = turn(server, server.dynamodb, [lane[: plan.writes] for lane in lanes], b"HTTP/1.1 200").rate
        cpu = server.api_usage().cpu_seconds
        rate, code = _replayed(server, file)
        used = server.api_usage()
        after = turn(server, server.dynamodb, [lane[plan.writes :] for lane in lanes], b"HTTP/1.1 200").rate
    peer, peak, cpu_ms = (before + after) / 2, used.peak_kib / 1024, (used.cpu_seconds - cpu) / rows * 1000
    table(
        ["replay", ""],
        [
            ["rows", rows], ["rows per second", rate], ["emulator's transactions per second", peer],
            ["API CPU ms per row", cpu_ms], ["peak MiB of an API process", peak],
            ["exit code of the replay (0: it reconciles)", code],
        ],
    )  # fmt: skip
    details = {
        "rows": rows, "rows_per_s": rate, "raw_per_s": round(peer, 1), "api_peak_mib": round(peak, 1),
        "api_cpu_ms": round(cpu_ms, 3), "exit_code": code, "data": str(DATA) if DATA.exists() else "made up",
    }  # fmt: skip
    return Figure(
        "replay", "rows per second ÷ the emulator's own two-item transactions",
        rate / peer, GOAL, "×", lower_is_better=False, details=details,
    )  # fmt: skip


def _replayed(server: Server, file: Path) -> tuple[float, int]:
    """Rows per second as the verb tells it, and its exit code.

    Raises:
        RuntimeError: it did not get through.
    """
    port = str(urlsplit(server.url).port)
    env = environment() | {"PORT": port, "DATA_DIR": str(server.data_dir), "SHIFT": "", "FILE": ""}
    done = subprocess.run(
        [sys.executable, "-m", "local", "replay", "--file", str(file)],
        env=env, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = _RATE.search(done.stdout)
    if told is None:
        raise RuntimeError(f"the replay failed: {done.stdout[-1500:]}{done.stderr[-1500:]}")
    return int(told[1].replace(",", "")) / max(float(told[2]), 0.001), done.returncode


def _write(file: Path, limit: int | None) -> int:
    """The first rows of the data in a file of their own; how many."""
    rows = _real() if DATA.exists() else _made_up()
    rows = rows if limit is None else rows[:limit]
    with file.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(_HEAD)
        writer.writerows(rows)
    return len(rows)


def _real() -> list[list[str]]:
    with DATA.open(newline="") as file:
        return list(csv.reader(file))[1:]


def _made_up() -> list[list[str]]:
    """As many customers and purchases as CDNOW's, in its order: by customer, then by day."""
    chance = random.Random(1997)
    rows = []
    for customer in range(1, 23_571):
        day = date(1997, 1, 1) + timedelta(days=(customer - 1) * 84 // 23_570)
        for _ in range(1 + min(int(chance.expovariate(0.51)), 60)):
            if day > date(1998, 6, 30):
                break
            amount = chance.lognormvariate(3.3, 0.7)
            rows.append([f"{customer:05d}", day.isoformat(), str(1 + int(amount // 15)), f"{amount:.2f}"])
            day += timedelta(days=int(chance.expovariate(1 / 70)))
    return rows
