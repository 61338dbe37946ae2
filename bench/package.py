"""What is deployed: its size, and how long each function takes from nothing imported to its first event answered.

`make package` is made for this machine, into a folder of the bench's own, and every function starts from what was in
the zip and from nothing else, as Lambda starts it. Fresh processes take turns with `import boto3` and a client. Each
measures itself from its first line on, so that starting the interpreter counts in neither.
"""

import contextlib
import json
import os
import platform
import random
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from bench.catalogues import coffee, purchase_body
from bench.cold_import import BOTO3, medians
from bench.http_app import event_for
from bench.report import Figure, table
from bench.stack import AUDIENCE, ISSUER, KEYS, REGION, Stack, client, database, folder, house_of, stack_on
from chalicelib.jobs import service
from chalicelib.jobs.models import Job, Part
from chalicelib.jobs.service import Yard
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.events import EventId
from chalicelib.kernel.ids import MemberId
from chalicelib.storage import keys
from chalicelib.storage.table import DynamoTable
from local.settings import ROOT, environment

MADE = ROOT / "build"

_START = """
import time; started, cpu = time.perf_counter(), time.process_time()
from {module} import {function} as handler; imported, cpu_imported = time.perf_counter(), time.process_time()
import json, sys
event = json.load(open(sys.argv[1]))
class Context:
    aws_request_id, function_name = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "regulars-bench"
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:regulars-bench"
    log_group_name = "/aws/lambda/regulars-bench"
    function_version, memory_limit_in_mb, log_stream_name = "$LATEST", 1024, "bench"
    identity = client_context = None
    def get_remaining_time_in_millis(self):
        return 15000
ready, cpu_ready = time.perf_counter(), time.process_time()
answer = handler(event, Context()); answered, used = time.perf_counter(), time.process_time()
sys.stderr.write("\\n" + json.dumps([answer, {{
    "wall": answered - started - (ready - imported), "cpu": used - cpu - (cpu_ready - cpu_imported),
    "import": imported - started, "first event": answered - ready, "modules": len(sys.modules),
    "from": sys.modules["{module}"].__file__}}]))
"""


@dataclass(frozen=True)
class Start:
    """A function and its first event.

    Attributes:
        event: makes the event of a start.
        answered: whether an answer says that the event was done.
    """

    name: str
    handler: str
    event: Callable[[], Any]
    answered: Callable[[Any], bool]

    @property
    def script(self) -> str:
        """What a fresh interpreter runs."""
        module, _, function = self.handler.rpartition(".")
        return _START.format(module=module, function=function)


@dataclass(frozen=True)
class Made:
    """A zip.

    Attributes:
        tree: what was in it, where it was unpacked to be started.
    """

    name: str
    zipped: int
    unzipped: int
    tree: Path | None = None


def run(*, quick: bool = False) -> Figure:
    """Start all in turns; the value is the worst ratio of medians of wall time."""
    runs = 1 if quick else 15
    with folder() as scratch, _aws() as endpoint:
        made = [] if quick else _package(scratch)
        tree = next((each.tree for each in made if each.tree), None)
        made += [_weighed(path.parent.name, path) for path in sorted(MADE.glob("*/app.zip"))]
        times = _timed(scratch, endpoint, tree, runs)
    boto3 = times.pop("boto3")
    ratios = {name: each["wall"] / boto3["wall"] for name, each in times.items()}
    table(
        ["ms, medians", "wall", "÷ boto3", "CPU ÷ boto3", "import", "first event", "modules"],
        [
            [name, each["wall"], ratios[name], each["cpu"] / boto3["cpu"], *(each[of] for of in _PARTS)]
            for name, each in times.items()
        ]
        + [["boto3 and a client", boto3["wall"], 1.0, 1.0, boto3["import boto3"], boto3["client"], boto3["modules"]]],
    )
    if made:
        table(["bytes", "zipped", "unzipped"], [[each.name, each.zipped, each.unzipped] for each in made])
    print(f"  started from {'the zip' if tree else 'the working tree'}, {runs} times each")
    details = {
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "cpu_ratios": {name: round(each["cpu"] / boto3["cpu"], 3) for name, each in times.items()},
        "ms": times | {"boto3": boto3},
        "bytes": {each.name: {"zipped": each.zipped, "unzipped": each.unzipped} for each in made},
        "from_the_zip": tree is not None,
        "runs": runs,
        "load": os.getloadavg()[0],
    }
    return Figure(
        "package", "import and first event of the slowest function ÷ boto3 import and client",
        max(ratios.values()), 1.3, "×", details=details,
    )  # fmt: skip


_PARTS = ("import", "first event", "modules")


# ---------------------------------------------------------------- the zip


def _package(scratch: Path) -> list[Made]:
    """The zip for this machine, unpacked; none where it cannot be made."""
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), "")
    made = scratch / "made"
    command = [sys.executable, "-m", "local.deploy", "package", "--env", "dev", "--out", str(made)]
    done = subprocess.run(
        [*command, "--set", f"Architecture={machine}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        print(f"  not packaged, so the working tree is started: {done.stderr.strip()[-300:]}")
        return []
    tree = scratch / "tree"
    with zipfile.ZipFile(made / "app.zip") as packed:
        packed.extractall(tree)
    return [replace(_weighed(f"packaged now for {machine}", made / "app.zip"), tree=tree)]


def _weighed(name: str, path: Path) -> Made:
    with zipfile.ZipFile(path) as packed:
        return Made(name, path.stat().st_size, sum(each.file_size for each in packed.infolist()))


# ---------------------------------------------------------------- starting


def _timed(scratch: Path, endpoint: str, tree: Path | None, runs: int) -> dict[str, dict[str, float]]:
    """Medians of each function, and of boto3."""
    with database() as server:
        dynamo = client(server.endpoint)
        stack = stack_on(dynamo, datetime.now(UTC))
        keys_file = scratch / "keys.json"
        keys_file.write_text(json.dumps(KEYS))
        vault_key = scratch / "vault_key"
        vault_key.write_text(KEYS["vault_key"])
        env = environment() | {
            "REGULARS_STAGE": "test", "REGULARS_STACK": stack.table.name.removesuffix("-core"),
            "REGULARS_ISSUER": ISSUER, "REGULARS_AUDIENCE": AUDIENCE, "REGULARS_KEYS_FILE": str(keys_file),
            "REGULARS_VAULT_KEY": vault_key.as_uri(),
            "REGULARS_BUS": "bench", "REGULARS_JOB_QUEUE": endpoint + "/jobs",
            "REGULARS_ARCHIVE": (scratch / "archive").as_uri(), "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench", "DYNAMODB_ENDPOINT": server.endpoint, "AWS_ENDPOINT_URL": endpoint,
        }  # fmt: skip
        for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "AWS_SESSION_TOKEN"):
            env.pop(name, None)
        starts = _starts(stack)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in (*(each.name for each in starts), "boto3")}
        for number in range(runs + 1):  # the first writes .pyc files and fills the machine's caches
            for each in starts:
                figures = _once(each, env, scratch, tree)
                found[each.name] += [figures] if number else []
            figures = json.loads(_run([sys.executable, "-c", BOTO3], env, ROOT))
            found["boto3"] += [figures] if number else []
        dynamo.close()
    return {name: medians(some) for name, some in found.items()}


def _once(start: Start, env: dict[str, str], scratch: Path, tree: Path | None) -> dict[str, float]:
    event = scratch / "event.json"
    event.write_text(json.dumps(start.event()))
    own = {"PYTHONPATH": str(tree), "LAMBDA_TASK_ROOT": str(tree)} if tree else {}
    flags = ["-S"] if tree else []  # without the packages of .venv
    last = _run([sys.executable, *flags, "-c", start.script, str(event)], env | own, tree or ROOT)
    answer, figures = json.loads(last)
    assert start.answered(answer), (start.name, answer)
    assert figures.pop("from").startswith(str(tree or ROOT))
    return figures  # type: ignore[no-any-return]


def _run(command: list[str], env: dict[str, str], where: Path) -> str:
    done = subprocess.run(command, env=env, cwd=where, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-3000:])
    return done.stderr.splitlines()[-1]


# ---------------------------------------------------------------- first events


def _starts(stack: Stack) -> list[Start]:
    """Every function of the stack, with events that it has not seen: of members who bought before."""
    today = local_day(stack.clock(), stack.book.current(stack.clock()).time_zone)
    ops = DynamoTable(stack.dynamo, stack.table.name.removesuffix("core") + "ops")
    settings = replace(house_of(stack).settings, job_queue="jobs")
    service.start_run(
        Yard(stack.table, ops, stack.book, _Nowhere(), settings.job_queue or ""),
        Job.BIRTHDAY, today, dry_run=False, by="bench", now=stack.clock(),
    )  # fmt: skip
    chance = random.Random(1)

    def member() -> MemberId:
        made = stack.enrol(birthday=f"--{today:%m-%d}")
        stack.buy(_basket(made, stack.clock(), chance))
        return made

    def purchase() -> Any:
        body = _basket(member(), stack.clock(), chance)
        return event_for("POST", "/v1/purchases", json.dumps(body).encode())

    def part() -> Any:
        made = member()
        part = Part(job=Job.BIRTHDAY, day=today, dry_run=False, attempt=1, name=made, members=(made,))
        return _messages(part.model_dump_json(exclude_defaults=True))

    def expiries() -> Any:
        for key in (keys.job_head(Job.EXPIRE), keys.job_run(Job.EXPIRE, today, dry_run=False)):
            stack.dynamo.call("DeleteItem", {"TableName": ops.name, "Key": {"pk": {"S": key.pk}, "sk": {"S": key.sk}}})
        return {"job": Job.EXPIRE.value}

    def done(answer: Any) -> bool:
        return bool(answer == {"batchItemFailures": []})

    return [
        Start("API", "app.app", purchase, lambda answer: answer["statusCode"] == 201),
        Start("relay", "chalicelib.relay.jobs.relay_records", _sample("relay.jobs.relay_records"), done),
        Start("archive", "chalicelib.relay.jobs.archive_events", _sample("relay.jobs.archive_events"), done),
        Start("start job", "chalicelib.jobs.jobs.start_job", expiries, lambda answer: len(answer["days"]) == 1),
        Start("work job", "chalicelib.jobs.jobs.work_job", part, done),
        Start("notices", "chalicelib.notices.jobs.send_notices", lambda: _messages(_gift(member(), today)), done),
    ]


def _basket(member: MemberId, at: datetime, chance: random.Random) -> dict[str, Any]:
    return purchase_body({"member_id": member}, coffee().lines(chance, 3), at=at, number=chance.randrange(10**6))


def _sample(name: str) -> Callable[[], Any]:
    text = (ROOT / "events" / f"{name}.json").read_text()
    return lambda: json.loads(text)


def _messages(body: str) -> dict[str, Any]:
    return {"Records": [{"messageId": "m1", "body": body}]}


def _gift(member: MemberId, today: date) -> str:
    """The event of a birthday gift, as its queue has it."""
    now = datetime.now(UTC).isoformat()
    key = keys.entry("birthday", member, f"{today.year}")
    data = {
        "entry_id": keys.entry_id(key), "balance_after": 100, "points": 50, "tier_before": "basic",
        "tier_after": "basic", "program_version": 1, "year": today.year, "expires_on": None,
    }  # fmt: skip
    event = {
        "event_id": EventId.of(key.pk, key.sk, "BirthdayGiftGiven"), "type": "BirthdayGiftGiven", "version": 1,
        "member_id": member, "seq": 2, "occurred_at": now, "recorded_at": now, "data": data,
    }  # fmt: skip
    return json.dumps(event)


class _Nowhere:
    """A queue that drops what it is sent."""

    def send(self, queue_url: str, bodies: Any, *, delay: int = 0) -> None:
        """See `Queues.send`."""


@contextlib.contextmanager
def _aws() -> Iterator[str]:
    """Whatever takes events and messages in AWS' JSON protocols."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version: ClassVar[str] = "HTTP/1.1"  # type: ignore[misc]

        def do_POST(self) -> None:
            """Take all that is sent."""
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["Entries"]
            answer: dict[str, Any] = {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in sent]}
            if self.headers["X-Amz-Target"] != "AWSEvents.PutEvents":
                answer = {"Successful": [{"Id": each["Id"], "MessageId": "m"} for each in sent]}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
