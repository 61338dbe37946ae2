"""Every sample of a queue, a stream or a schedule is answered by its handler in a fresh interpreter, as in Lambda.

A sample is named after its handler: `relay.jobs.relay_records.json` goes to `chalicelib.relay.jobs.relay_records`, and
a word may follow. The environment is what the function is given and no more: no keys, no token issuer's secrets.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from chalicelib.lake.service import VIEWS
from chalicelib.runtime.settings import LOCAL_STAGES
from local.deploy.functions import FUNCTIONS
from local.settings import ROOT
from local.tables import create_tables

EVENTS = sorted((ROOT / "events").glob("*.jobs.*.json"))

NOTHING = dict.fromkeys(VIEWS, 0)
EXPECTED: dict[str, dict[str, Any] | None] = {
    "campaigns.jobs.answer_campaigns.unknown": {"fault": "unknown"},
    "campaigns.jobs.plan_campaigns": {"begun": 0, "planned": 0, "failed": 0},
    "deliveries.jobs.answer": {"items": []},
    "deliveries.jobs.send_parts": {"batchItemFailures": []},
    "deliveries.jobs.send_parts.malformed": {
        "batchItemFailures": [{"itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be007"}]
    },
    "jobs.jobs.start_job": {"job": "birthday", "days": ["today or yesterday"]},
    "jobs.jobs.work_job": {"batchItemFailures": []},
    "jobs.jobs.work_job.malformed": {"batchItemFailures": [{"itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be002"}]},
    "journeys.jobs.take_events": {"batchItemFailures": []},
    "journeys.jobs.take_events.malformed": {
        "batchItemFailures": [{"itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be0d1"}]
    },
    "journeys.jobs.do_steps": {"batchItemFailures": []},
    "journeys.jobs.do_steps.malformed": {
        "batchItemFailures": [{"itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be0d3"}]
    },
    "journeys.jobs.tick_journeys": {"lists": 0, "handed": 0, "swept": 0},
    "lake.jobs.fold_records": {"batchItemFailures": []},
    "lake.jobs.fold_records.malformed": {"batchItemFailures": [{"itemIdentifier": "11110000000000011111111004"}]},
    "lake.jobs.patch_lake": {"batchItemFailures": []},
    "lake.jobs.rebase_lake": None,
    "lake.jobs.lake_status": {"generation": None, "built_at": None, "through": None, "rows": NOTHING},
    "lane.jobs.work_line": {"batchItemFailures": []},
    "lane.jobs.work_line.malformed": {
        "batchItemFailures": [{"itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be0a2"}]
    },
    "notices.jobs.send_notices": {"batchItemFailures": []},
    "notices.jobs.send_notices.malformed": {
        "batchItemFailures": [{"itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be003"}]
    },
    "receipts.jobs.take_mail_events": {"batchItemFailures": []},
    "receipts.jobs.take_mail_events.malformed": {
        "batchItemFailures": [{"itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be0d1"}]
    },
    "watch.jobs.watch_events": {"batchItemFailures": []},
    "watch.jobs.watch_events.malformed": {
        "batchItemFailures": [{"itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be0c1"}]
    },
    "privacy.jobs.work_retention": {"batchItemFailures": []},
    "privacy.jobs.work_retention.malformed": {
        "batchItemFailures": [{"itemIdentifier": "2e1424d4-f796-459a-8184-9c92662bf002"}]
    },
    "segments.jobs.answer_segments": {"members": [], "last": None},
    "segments.jobs.refresh_segments": {"batchItemFailures": []},
    "relay.jobs.relay_records": {"batchItemFailures": []},
    "relay.jobs.archive_events": {"batchItemFailures": []},
    "relay.jobs.archive_events.malformed": {
        "batchItemFailures": [{"itemIdentifier": "2e1424d4-f796-459a-8184-9c92662befff"}]
    },
}

FAILING = {"campaigns.jobs.send_campaign_tests.unknown": "CampaignUnknown"}
"""Samples at which the function fails, and with what: whoever asked it is told that it did."""

SILENT = ("answer", "answer_campaigns", "lake_status")
"""Functions that answer the API, whose own line tells of the request."""

TOO_HEAVY = ("chalice", "phonenumbers", "boto3", "jwt", "chalicelib.api")
"""What none of these may load: a cold start pays for it."""

BOOTSTRAP = """
import importlib, json, sys
module, function, heavy = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
handler = getattr(importlib.import_module(module), function)
class Context:
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name = "regulars-sample-job"
    def get_remaining_time_in_millis(self):
        return 15000
print("ANSWER " + json.dumps(handler(json.load(sys.stdin), Context())), flush=True)
print("LOADED " + json.dumps([name for name in heavy if name in sys.modules]), flush=True)
"""


@dataclass
class Aws:
    """Whatever speaks AWS' JSON protocols: it takes every event and message."""

    url: str = ""
    dynamodb: str = ""
    details: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def aws(dynamodb: str) -> Iterator[Aws]:
    """An endpoint that remembers what is put on the bus and takes every message, and a stack's tables."""
    seen = Aws(dynamodb=dynamodb)
    create_tables(dynamodb, stack="sample")

    class Handler(BaseHTTPRequestHandler):
        protocol_version: ClassVar[str] = "HTTP/1.1"  # type: ignore[misc]

        def do_POST(self) -> None:
            entries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["Entries"]
            told: dict[str, Any]
            if self.headers["X-Amz-Target"] == "AmazonSQS.SendMessageBatch":
                told = {"Successful": [{"Id": entry["Id"]} for entry in entries]}
            else:
                assert self.headers["X-Amz-Target"] == "AWSEvents.PutEvents"
                seen.details += (json.loads(entry["Detail"]) for entry in entries)
                told = {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in entries]}
            answer = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    seen.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield seen
    server.shutdown()
    thread.join()
    server.server_close()


def answer(path: Path, aws: Aws, archive: Path, **change: str) -> subprocess.CompletedProcess[str]:
    """What a fresh interpreter does with a sample."""
    domain, module, function = path.stem.split(".")[:3]
    env = {
        "PATH": os.environ["PATH"], "REGULARS_STAGE": LOCAL_STAGES[1], "REGULARS_STACK": "sample",  # noqa: TID251
        "REGULARS_ISSUER": "https://test.regulars.invalid", "REGULARS_AUDIENCE": "regulars",
        "REGULARS_BUS": "sample-events", "REGULARS_ARCHIVE": archive.as_uri(), "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "sample", "AWS_SECRET_ACCESS_KEY": "sample", "AWS_SESSION_TOKEN": "sample",
        "AWS_ENDPOINT_URL": aws.url, "DYNAMODB_ENDPOINT": aws.dynamodb,
        "REGULARS_JOB_QUEUE": f"{aws.url}/sample-job-work",
        "REGULARS_RETENTION_QUEUE": f"{aws.url}/sample-retention",
        "REGULARS_SEND_QUEUE": f"{aws.url}/sample-campaign-sends",
        "REGULARS_LAKE_QUEUE": f"{aws.url}/sample-lake-patch",
        "REGULARS_SEGMENTS_QUEUE": f"{aws.url}/sample-segments-refresh",
        "AWS_LAMBDA_FUNCTION_NAME": "regulars-sample-job", "LAMBDA_TASK_ROOT": str(ROOT),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", BOOTSTRAP, f"chalicelib.{domain}.{module}", function, ",".join(TOO_HEAVY)],
        input=path.read_text(), cwd=ROOT, env=env | change, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_every_sample_has_an_expectation_and_the_other_way_round() -> None:
    assert {path.stem for path in EVENTS} == EXPECTED.keys() | FAILING.keys()


def test_every_handler_has_a_sample() -> None:
    wanted = {each.handler.removeprefix("chalicelib.") for each in FUNCTIONS} - {"app.app"}
    assert wanted == {".".join(path.stem.split(".")[:3]) for path in EVENTS}


@pytest.mark.parametrize("path", [path for path in EVENTS if path.stem not in FAILING], ids=lambda path: path.stem)
def test_a_sample_is_answered_in_a_fresh_interpreter_that_loads_little(path: Path, aws: Aws, tmp_path: Path) -> None:
    # A stack for each: what one sample leaves behind is nothing to the next.
    stack = path.stem.translate(str.maketrans("._", "--"))
    create_tables(aws.dynamodb, stack=stack)
    done = answer(path, aws, tmp_path, REGULARS_STACK=stack)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    (answered,) = (json.loads(line[7:]) for line in lines if line.startswith("ANSWER "))
    if answered is not None and "days" in answered:
        assert len(answered["days"]) == 1
        answered["days"] = ["today or yesterday"]
    assert answered == EXPECTED[path.stem]
    assert [json.loads(line[7:]) for line in lines if line.startswith("LOADED ")] == [[]]
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    function = path.stem.split(".")[2]
    assert [line["job"] for line in logged] == ([] if function in SILENT else [function])


@pytest.mark.parametrize("sample", FAILING)
def test_a_function_fails_at_a_sample_of_what_cannot_be_done(aws: Aws, tmp_path: Path, sample: str) -> None:
    done = answer(ROOT / "events" / f"{sample}.json", aws, tmp_path)
    assert done.returncode != 0
    assert f"errors.{FAILING[sample]}" in done.stderr.splitlines()[-1]


def test_what_the_relay_puts_on_the_bus_is_what_the_archive_keeps(aws: Aws, tmp_path: Path) -> None:
    by_name = {path.stem: path for path in EVENTS}
    aws.details.clear()
    assert answer(by_name["relay.jobs.relay_records"], aws, tmp_path).returncode == 0
    assert answer(by_name["relay.jobs.archive_events"], aws, tmp_path).returncode == 0
    kept = [json.loads(line) for file in tmp_path.rglob("*.jsonl") for line in file.read_text().splitlines()]
    assert sorted(kept, key=lambda event: str(event["event_id"])) == sorted(
        aws.details, key=lambda event: str(event["event_id"])
    )


@pytest.mark.parametrize(
    ("sample", "variable"),
    [("relay.jobs.relay_records", "REGULARS_BUS"), ("relay.jobs.archive_events", "REGULARS_ARCHIVE")],
)
def test_a_function_that_was_not_given_what_it_uses_says_what_is_missing(
    aws: Aws, tmp_path: Path, sample: str, variable: str
) -> None:
    done = answer(ROOT / "events" / f"{sample}.json", aws, tmp_path, **{variable: ""})
    assert done.returncode != 0
    assert f"the environment variable {variable} is not set" in done.stderr


def test_an_archive_in_a_folder_is_refused_where_a_bucket_belongs(aws: Aws, tmp_path: Path) -> None:
    sample = ROOT / "events" / "relay.jobs.archive_events.json"
    done = answer(sample, aws, tmp_path, REGULARS_STAGE="prod")
    assert done.returncode != 0
    assert "archive in a local folder is refused" in done.stderr
