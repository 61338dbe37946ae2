"""What fails in the deployed stack: one message among others, and a function that may not do what it must."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from chalicelib.jobs.models import Run, RunState
from chalicelib.kernel.calendar import celebrated_on, local_day
from chalicelib.runtime.wiring import utc_now
from chalicelib.storage import keys
from local.deploy.intrinsics import Json
from tests.e2e.stand import Deployed, until

RECEIVES = 5
FOREIGN = '{"job": "nobody"}'


def test_a_broken_member_and_a_foreign_message_hold_nobody_up_and_a_redrive_does_nothing_twice(stack: Deployed) -> None:
    day = local_day(utc_now(), stack.given["TimeZone"]) - timedelta(days=3)
    good = [stack.long_known(birthday=f"--{day:%m-%d}") for _ in range(4)]
    broken = stack.long_known(birthday=f"--{day:%m-%d}")
    queue, dead = stack.queue_url("job-work"), stack.queue_url("job-work-dlq")
    before = len(stack.told("work-job"))

    with broken_account(stack, broken):
        stack.switch("work-job", on=False)
        stack.start_birthdays(day)
        stack.aws("sqs").send_message(QueueUrl=queue, MessageBody=FOREIGN)
        stack.switch("work-job", on=True)
        until("both are dead", lambda: stack.waiting("job-work-dlq") == 2 and stack.waiting("job-work") == 0)
        run = stack.birthdays(day)
        assert (run.state, run.due, run.waiting, run.points) == (RunState.RUNNING, 5, 1, 200)
    assert all(stack.entries(member) == [("birthday", 50)] for member in good)
    assert stack.entries(broken) == []

    def failed() -> list[Json] | None:
        lines = [line for line in stack.told("work-job")[before:] if line["failed"]]
        return lines if sum(line["failed"] for line in lines) == 2 * RECEIVES else None

    calls = until("each was tried five times", failed)
    assert [line for line in calls if line["messages"] > line["failed"]], "no batch was done in part"
    assert {line["outcome"] for line in calls} == {"bug"}

    letters = bodies(stack, dead)
    assert FOREIGN in letters
    (part,) = letters - {FOREIGN}
    said = stack.run("local", "redrive", "--queue", "job-work", "--where", broken)
    assert "1 messages moved to job-work, 1 left." in said
    run = until("the run is through", lambda: through(stack.birthdays(day)))
    assert (run.done, run.waiting, run.points) == (5, 0, 250)

    everybody = [*good, broken]
    stack.aws("sqs").send_message(QueueUrl=queue, MessageBody=part)  # once more, as queues do
    stack.start_birthdays(day, anew=True)
    until("the run is through again", lambda: (run := stack.birthdays(day)).attempt == 2 and through(run))
    until("the queue is empty", lambda: stack.waiting("job-work") == 0)
    assert all(stack.entries(member) == [("birthday", 50)] for member in everybody)
    stack.aws("sqs").purge_queue(QueueUrl=dead)


def test_a_function_without_one_of_its_grants_visibly_fails(stack: Deployed) -> None:
    day = local_day(utc_now(), stack.given["TimeZone"]) - timedelta(days=4)
    member = stack.long_known(birthday=f"--{day:%m-%d}")
    before = len(stack.told("work-job"))
    days = {each for on in (day - timedelta(days=1), day) for each in celebrated_on(on)}
    parts = keys.DUE_SHARDS * len(days)
    with without(stack, "WorkJobRole", "dynamodb:Query", "/index/due"):
        stack.start_birthdays(day)
        until("all parts are dead", lambda: stack.waiting("job-work-dlq") == parts)
        assert stack.birthdays(day).due == 0
        assert stack.entries(member) == []
        faults = [fault for line in stack.told("work-job")[before:] for fault in line.get("faults", ())]
        assert faults and all(fault.startswith("ServiceFault AccessDenied") for fault in faults)
    assert f"{parts} messages moved" in stack.run("local", "redrive", "--queue", "job-work")
    until("the run is through", lambda: through(stack.birthdays(day)))
    assert stack.entries(member) == [("birthday", 50)]


def through(run: Run) -> Run | None:
    return run if run.state is RunState.DONE else None


def bodies(stack: Deployed, url: str) -> set[str]:
    """The messages of a queue, which stay there."""
    said = stack.aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return {each["Body"] for each in said["Messages"]}


@contextmanager
def broken_account(stack: Deployed, member_id: str) -> Iterator[None]:
    """A member whose account nobody can read, for a while."""
    key = keys.account(member_id)
    where = {"TableName": stack.core.name, "Key": {"pk": {"S": key.pk}, "sk": {"S": key.sk}}}
    item = stack.as_root.call("GetItem", {**where, "ConsistentRead": True})["Item"]
    less = {name: value for name, value in item.items() if name != "status"}
    stack.as_root.call("PutItem", {"TableName": stack.core.name, "Item": less})
    try:
        yield
    finally:
        stack.as_root.call("PutItem", {"TableName": stack.core.name, "Item": item})


@contextmanager
def without(stack: Deployed, role: str, action: str, resource: str) -> Iterator[None]:
    """A role without one of its grants, for a while."""
    iam, name = stack.aws("iam"), stack.resource(role)
    (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    full = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    document: dict[str, Any] = full if isinstance(full, dict) else json.loads(full)
    left = [each for each in document["Statement"] if not (each["Action"] == [action] and grants(each, resource))]
    assert len(left) == len(document["Statement"]) - 1
    less = {**document, "Statement": left}
    iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(less))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))


def grants(statement: dict[str, Any], resource: str) -> bool:
    return any(each.endswith(resource) for each in statement["Resource"])
