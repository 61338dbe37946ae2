"""Every sample event is answered by its handler in a fresh interpreter, the way Lambda starts it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.runtime.settings import LOCAL_STAGES
from local.dynamo import Dynoxide, create_tables
from local.keys import ensure_vault_key
from local.settings import ROOT
from tests.makers import a_token

EVENTS = sorted((ROOT / "events").glob("api.*.json"))
KEYS = {"index_key": "11" * 32, "cursor_key": "22" * 32, "token_key": "33" * 32}

EXPECTED = {
    "api.get_health": 200,
    "api.get_openapi": 200,
    "api.enrol_member": 201,
    "api.look_up_member": 200,
    "api.get_member.unknown": 404,
    "api.record_purchase": 201,
    "api.record_purchase.malformed": 400,
    "api.spend_points.without_key": 400,
    "api.get_program": 200,
    "api.publish_program.invalid": 422,
    "api.list_tiers.without_token": 401,
}

# Lambda imports the handler's module, then calls it with each event as JSON gave it.
BOOTSTRAP = """
import importlib, json, sys
handler = getattr(importlib.import_module("app"), "app")
class Context:
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name = "regulars-sample-api"
    def get_remaining_time_in_millis(self):
        return 15000
for line in sys.stdin:
    print("ANSWER " + json.dumps(handler(json.loads(line), Context())), flush=True)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a Lambda, with a DynamoDB of its own."""
    folder = tmp_path_factory.mktemp("samples")
    keys = folder / "keys.json"
    keys.write_text(json.dumps(KEYS))
    vault_key = folder / "vault_key"
    ensure_vault_key(vault_key)
    with Dynoxide() as dynamo:
        create_tables(dynamo.endpoint, stack="sample")
        yield {
            "PATH": os.environ["PATH"], "REGULARS_STAGE": LOCAL_STAGES[1], "REGULARS_STACK": "sample",  # noqa: TID251
            "REGULARS_KEYS_FILE": str(keys), "REGULARS_VAULT_KEY": vault_key.as_uri(), "REGULARS_ISSUER": "https://test.regulars.invalid",
            "REGULARS_AUDIENCE": "regulars", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "sample",
            "AWS_SECRET_ACCESS_KEY": "sample", "AWS_SESSION_TOKEN": "sample", "DYNAMODB_ENDPOINT": dynamo.endpoint,
            "AWS_LAMBDA_FUNCTION_NAME": "regulars-sample-api", "LAMBDA_TASK_ROOT": str(ROOT),
        }  # fmt: skip


def signed_in(event: dict[str, Any]) -> dict[str, Any]:
    """The event with a token that is good now, where the sample has a place for one."""
    from datetime import UTC, datetime

    token = a_token(bytes.fromhex(KEYS["token_key"]), "https://test.regulars.invalid", "regulars", datetime.now(UTC))
    parsed: dict[str, Any] = json.loads(json.dumps(event).replace("{token}", token))
    return parsed


def answers(environment: dict[str, str], *events: dict[str, Any]) -> list[dict[str, Any]]:
    """What a fresh interpreter answers to events, one after the other."""
    done = subprocess.run(
        [sys.executable, "-c", BOOTSTRAP], input="\n".join(json.dumps(event) for event in events), cwd=ROOT,
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return [json.loads(line[7:]) for line in done.stdout.splitlines() if line.startswith("ANSWER ")]


def an_enrolment_of(body: dict[str, Any], key: str) -> dict[str, Any]:
    """The sample enrolment with another body, and so another key."""
    enrol: dict[str, Any] = json.loads((ROOT / "events" / "api.enrol_member.json").read_text())
    for name, value in (("headers", key), ("multiValueHeaders", [key])):
        (header,) = (each for each in enrol[name] if each.lower() == "idempotency-key")
        enrol[name] = {**enrol[name], header: value}
    return signed_in({**enrol, "body": json.dumps(body)})


def a_member_with_the_card(environment: dict[str, str]) -> None:
    """The member whom the sample purchase names."""
    (answer,) = answers(environment, an_enrolment_of({"card_no": "sample-card"}, "sample-card"))
    assert answer["statusCode"] == 201, answer["body"]


def test_every_sample_has_an_expectation_and_the_other_way_round() -> None:
    assert [path.stem for path in EVENTS] == sorted(EXPECTED)


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_a_sample_is_answered_in_a_fresh_interpreter(environment: dict[str, str], path: Path) -> None:
    event = json.loads(path.read_text())
    if path.stem == "api.record_purchase":
        a_member_with_the_card(environment)
    (answer,) = answers(environment, signed_in(event))
    assert answer["statusCode"] == EXPECTED[path.stem], answer["body"]
    assert set(answer) >= {"statusCode", "headers", "body"}
    assert all(isinstance(value, str) for value in answer["headers"].values())
    kind = "application/problem+json" if answer["statusCode"] >= 400 else "application/json"
    assert answer["headers"]["Content-Type"] == kind
    json.loads(answer["body"])


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_a_sample_has_the_shape_of_a_rest_event(path: Path) -> None:
    from local.gateway import proxy_event

    event = json.loads(path.read_text())
    made = proxy_event(
        {"method": "GET", "headers": [], "query_string": b""}, resource="/", path="/", params=None, body=b"",
        binary_types=frozenset(), request_id="r",
    )  # fmt: skip
    assert set(made) <= set(event)
    assert set(made["requestContext"]) <= set(event["requestContext"])
    assert event["requestContext"]["resourcePath"] == event["resource"]
    assert event["requestContext"]["httpMethod"] == event["httpMethod"]


def test_a_fresh_interpreter_serves_a_whole_visit(environment: dict[str, str]) -> None:
    by_name = {path.stem: json.loads(path.read_text()) for path in EVENTS}
    enrol, buy, look = (by_name[f"api.{name}"] for name in ("enrol_member", "record_purchase", "look_up_member"))
    body = json.loads(enrol["body"])
    card = f"visit-{time.time_ns()}"
    enrol = an_enrolment_of({**body, "mobile": None, "email": None, "card_no": card}, card)
    order = {**json.loads(buy["body"]), "member": {"card_no": card}, "order_no": card}
    buy = {**buy, "body": json.dumps(order)}
    look = {**look, "queryStringParameters": {"card_no": card}, "multiValueQueryStringParameters": {"card_no": [card]}}
    events = [signed_in(event) for event in (enrol, buy, buy, look)]
    made, bought, again, found = answers(environment, *events)
    assert [each["statusCode"] for each in (made, bought, again, found)] == [201, 201, 201, 200]
    assert (again["body"], again["headers"]["Idempotency-Replayed"]) == (bought["body"], "true")
    member = json.loads(found["body"])["items"][0]
    assert member["points"]["available"] == json.loads(bought["body"])["points_earned"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"REGULARS_STAGE": "prod"}, "keys from a local file are refused"),
        ({"REGULARS_ISSUER": ""}, "REGULARS_ISSUER is not set"),
    ],
)
def test_an_environment_that_makes_no_sense_serves_nobody(
    environment: dict[str, str], change: dict[str, str], words: str
) -> None:
    health = json.loads((ROOT / "events" / "api.get_health.json").read_text())
    done = subprocess.run(
        [sys.executable, "-c", BOOTSTRAP], input=json.dumps(health), cwd=ROOT, env=environment | change,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert '"statusCode": 200' not in done.stdout
    assert words in done.stdout + done.stderr
