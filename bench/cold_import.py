"""A cold start's work: from nothing imported to the first purchase answered, against importing boto3 and a client.

Both run in fresh processes in turns, with .pyc files in place. Each measures itself from its first line on, so that
starting the interpreter counts in neither.
"""

import contextlib
import json
import random
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.catalogues import coffee, purchase_body
from bench.http_app import event_for
from bench.report import Figure, table
from bench.stack import AUDIENCE, ISSUER, KEYS, REGION, client, database, stack_on
from local.settings import ROOT, environment

_APP = """
import time; started, cpu = time.perf_counter(), time.process_time()
import app; imported, cpu_imported = time.perf_counter(), time.process_time()
import json, sys
event, again = json.load(open(sys.argv[1]))
from local.gateway import LambdaContext
ready, cpu_ready = time.perf_counter(), time.process_time()
answer = app.app(event, LambdaContext()); answered, used = time.perf_counter(), time.process_time()
assert answer["statusCode"] == 201, answer
second = time.perf_counter()
assert app.app(again, LambdaContext())["statusCode"] == 201
done = time.perf_counter()
sys.stderr.write(json.dumps({
    "wall": answered - started - (ready - imported), "cpu": used - cpu - (cpu_ready - cpu_imported),
    "import app": imported - started, "cpu of import app": cpu_imported - cpu,
    "first purchase": answered - ready, "second purchase": done - second, "modules": len(sys.modules)}))
"""

BOTO3 = """
import time; started, cpu = time.perf_counter(), time.process_time()
import boto3; imported = time.perf_counter()
boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
done, used = time.perf_counter(), time.process_time()
import json, sys
sys.stderr.write(json.dumps({
    "wall": done - started, "cpu": used - cpu, "import boto3": imported - started, "client": done - imported,
    "modules": len(sys.modules)}))
"""


def run(*, quick: bool = False) -> Figure:
    """Start both in turns; the value is the ratio of the medians of wall time."""
    runs = 1 if quick else 15
    app, boto3 = list[dict[str, float]](), list[dict[str, float]]()
    with _prepared(runs + 6) as (env, events):
        _once(_APP, env, next(events))  # writes .pyc files
        for _ in range(runs):
            boto3.append(_once(BOTO3, env))
            app.append(_once(_APP, env, next(events)))
        packages = {} if quick else _by_package(env, events)
    ours, theirs = medians(app), medians(boto3)
    table(
        ["ms, medians", "ours", "boto3"], [[name, ours.get(name, ""), theirs.get(name, "")] for name in ours | theirs]
    )
    if packages:
        table(["import of (self time, quickest of 5, under -X importtime)", "ms"], list(packages.items())[:14])
    details = {"app_ms": ours, "boto3_ms": theirs, "cpu_ratio": round(ours["cpu"] / theirs["cpu"], 3), "runs": runs}
    return Figure(
        "cold_import", "app import and first purchase ÷ boto3 import and client",
        ours["wall"] / theirs["wall"], 1.3, "×", details={**details, "import_ms_by_package": packages},
    )  # fmt: skip


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {
        name: round(statistics.median(run[name] for run in runs) * (1 if name == "modules" else 1000), 2)
        for name in runs[0]
    }


def _once(script: str, env: dict[str, str], *arguments: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-3000:])
    figures: dict[str, float] = json.loads(done.stderr.splitlines()[-1])
    return figures


@contextlib.contextmanager
def _prepared(count: int) -> Iterator[tuple[dict[str, str], Iterator[str]]]:
    """An environment as Lambda gives it, and files with two purchases each: all of members who bought before."""
    with database() as server:
        dynamo = client(server.endpoint)
        stack = stack_on(dynamo, datetime.now(UTC))
        member = stack.enrol()
        chance = random.Random(1)
        folder = Path(server.path or "/tmp").parent
        keys = folder / "keys.json"
        keys.write_text(json.dumps(KEYS))
        bodies = [
            purchase_body({"member_id": member}, coffee().lines(chance, 3), at=stack.clock(), number=number)
            for number in range(2 * count + 2)
        ]
        stack.buy(bodies.pop())
        events: list[str] = []
        for number in range(count):
            path = folder / f"event-{number}.json"
            pair = [event_for("POST", "/v1/purchases", json.dumps(bodies.pop()).encode()) for _ in range(2)]
            path.write_text(json.dumps(pair))
            events.append(str(path))
        env = environment() | {
            "REGULARS_STAGE": "test", "REGULARS_STACK": stack.table.name.removesuffix("-core"),
            "REGULARS_KEYS_FILE": str(keys), "REGULARS_ISSUER": ISSUER, "REGULARS_AUDIENCE": AUDIENCE,
            "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench",
            "DYNAMODB_ENDPOINT": server.endpoint,
        }  # fmt: skip
        for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "AWS_SESSION_TOKEN"):
            env.pop(name, None)
        yield env, iter(events)
        dynamo.close()


_IMPORTED = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s*([\w.]+)")


def _by_package(env: dict[str, str], events: Iterator[str]) -> dict[str, float]:
    """Self time of imports by package, ours by subpackage, largest first: of each module the quickest of all runs."""
    quickest: dict[str, float] = {}
    for event in events:
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", _APP, event],
            env=env, cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for found in filter(None, map(_IMPORTED.match, done.stderr.splitlines())):
            ms = int(found[1]) / 1000
            quickest[found[2]] = min(quickest.get(found[2], ms), ms)
    sums: dict[str, float] = {}
    for module, ms in quickest.items():
        sums[_package(module)] = sums.get(_package(module), 0.0) + ms
    return dict(sorted(((name, round(ms, 2)) for name, ms in sums.items()), key=lambda pair: -pair[1]))


def _package(module: str) -> str:
    first, _, rest = module.partition(".")
    if first == "chalicelib":
        return "chalicelib." + rest.partition(".")[0]
    return first if first in _NAMED or not _is_standard(first) else "standard library"


_NAMED = {"email", "http", "urllib", "asyncio", "logging", "ssl"}


def _is_standard(name: str) -> bool:
    return name in sys.stdlib_module_names or name in {"encodings", "site"}
