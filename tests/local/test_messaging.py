"""Queues, bus and rules of the template in ministack, and that what it holds outlives kill -9."""

import json
from pathlib import Path
from typing import Any

import pytest

from chalicelib.storage.bus import EVENTBRIDGE
from chalicelib.storage.line import SqsLine
from chalicelib.storage.queues import SQS
from local.messaging import Messaging, client, queue_calls, rule_calls, save, set_up, ttl_calls
from local.processes import answers
from local.settings import ACCOUNT
from local.tables import TEMPLATE
from tests.local.stand import within

QUEUES = {"job-work", "retention", "notices", "watch", "archive", "lane.fifo", "campaign-sends"}
DEAD = {f"{each}-dlq" for each in ("job-work", "retention", "notices", "watch", "archive", "relay", "schedules")} | {
    "lane-dlq.fifo"
}


def dead_letters_of(queue: str) -> str:
    name, dot, fifo = queue.partition(".")
    return f"{name}-dlq{dot}{fifo}"


def up(messaging: Messaging) -> Messaging:
    messaging.begin()

    def ready() -> bool:
        messaging.step()
        return messaging.ready

    within(ready)
    return messaging


def template() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(TEMPLATE.read_text())
    return known


def test_the_template_says_which_queues_and_rules_there_are() -> None:
    queues = dict(queue_calls(template(), "s"))
    assert {f"s-{name}" for name in QUEUES | DEAD} <= set(queues)
    for name in QUEUES:
        policy = json.loads(queues[f"s-{name}"]["RedrivePolicy"])
        assert policy == {
            "deadLetterTargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:s-{dead_letters_of(name)}", "maxReceiveCount": 5,
        }  # fmt: skip
    assert int(queues["s-job-work"]["VisibilityTimeout"]) >= 360
    rules = {rule["Name"]: (rule, targets) for rule, targets in rule_calls(template(), "s")}
    rule, targets = rules["s-notices"]
    assert rule["EventBusName"] == "s-events"
    assert "BirthdayGiftGiven" in json.loads(rule["EventPattern"])["detail-type"]
    assert [(each["InputPath"], each["Arn"][-9:]) for each in targets] == [("$.detail", "s-notices")]
    assert ("s-ops", "expires", ["pk", "sk"]) in ttl_calls(template(), "s")


def test_what_the_template_should_not_say_is_named() -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::ImportValue": "x"}}}
    with pytest.raises(ValueError, match="ImportValue"):
        queue_calls({"Resources": {"Queue": queue}}, "s")


def test_what_was_saved_outlives_kill_9_and_another_port(tmp_path: Path) -> None:
    first = up(Messaging(tmp_path / "m"))
    assert first.process is not None
    bus, sqs = client(EVENTBRIDGE, first.endpoint), client(SQS, first.endpoint)

    def put(kind: str) -> None:
        entry = {"EventBusName": "regulars-events", "Source": "regulars", "DetailType": kind, "Detail": '{"n":1}'}
        assert bus.call("PutEvents", {"Entries": [entry]})["FailedEntryCount"] == 0

    put("TierChanged")
    put("PointsEarned")
    url = f"{first.endpoint}/{ACCOUNT}/regulars-notices"
    assert sqs.call("ReceiveMessage", {"QueueUrl": url})["Messages"][0]["Body"] == '{"n": 1}'
    named, _ = save(first.endpoint)
    put("TierChanged")
    first.process.kill()
    first.process.wait()
    first.stop()

    second = up(Messaging(tmp_path / "m"))
    sqs = client(SQS, second.endpoint)
    assert second.port != first.port
    assert save(second.endpoint)[0] != named

    def received(queue: str) -> int:
        asked = {"QueueUrl": f"{second.endpoint}/{ACCOUNT}/regulars-{queue}", "MaxNumberOfMessages": 10}
        return len(sqs.call("ReceiveMessage", asked).get("Messages") or ())

    assert (received("notices"), received("archive")) == (1, 2)
    set_up(second.endpoint, template(), visibility=1)  # again, over what is there
    second.stop()
    assert not answers(second.port)


def test_the_line_keeps_the_order_of_a_group_and_gives_nothing_of_it_while_some_is_under_way(tmp_path: Path) -> None:
    messaging = up(Messaging(tmp_path / "m", visibility=1))
    sqs = client(SQS, messaging.endpoint)
    url = f"{messaging.endpoint}/{ACCOUNT}/regulars-lane.fifo"
    line = SqsLine(sqs, url)
    for body in ("a0", "a1", "a2", "a0"):
        line.send("a", body, once=body)
    line.send("b", "b0", once="b0")

    def received(most: int) -> list[tuple[str, str]]:
        asked = {"QueueUrl": url, "MaxNumberOfMessages": most, "AttributeNames": ["All"]}
        messages = sqs.call("ReceiveMessage", asked).get("Messages") or ()
        return [(each["Body"], each["Attributes"]["ApproximateReceiveCount"]) for each in messages]

    assert received(2) == [("a0", "1"), ("a1", "1")]
    assert received(10) == [("b0", "1")]
    again: list[tuple[str, str]] = []

    def all_again() -> bool:
        again.extend(received(10))
        return len(again) >= 4

    within(all_again)
    assert [body for body, _ in again if body != "b0"] == ["a0", "a1", "a2"], "in order, and once though sent twice"
    sqs.close()
    messaging.stop()
