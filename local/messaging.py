"""SQS and EventBridge of a run: ministack on 127.0.0.1, with the queues, bus and rules of the CloudFormation template.

One description serves the deployed stack and this one, so they cannot drift apart. What ministack holds lives in its
memory; `save` puts it on disk.
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chalicelib.storage.bus import EVENTBRIDGE
from chalicelib.storage.queues import SQS
from chalicelib.storage.signed import Credentials, Service, ServiceFault, SignedClient, Unreachable
from local.dynamo import MINISTACK_VENV, ministack_environment, ministack_fits
from local.processes import NotStarted, answers, held_port, how_it_ended, start, stop
from local.settings import ACCOUNT, REGION, ROOT, STACK
from local.tables import TEMPLATE

_SERVER = Path(__file__).with_name("ministack_server.py")

# What CreateQueue shares with AWS::SQS::Queue and an emulator can honour.
_QUEUE = (
    "VisibilityTimeout", "MessageRetentionPeriod", "DelaySeconds", "MaximumMessageSize",
    "FifoQueue", "DeduplicationScope", "FifoThroughputLimit",
)  # fmt: skip
_FOR_GOOD = ("FifoQueue",)
"""What a queue is made with and never changes."""
_TARGET = ("Id", "InputPath", "Input")


class Messaging:
    """ministack's SQS and EventBridge, brought up step by step so that nothing else has to wait for it.

    The first time, its venv is made in a process of its own.

    Args:
        folder: where its snapshot and its log go.
        visibility: seconds that a received message stays hidden, in place of the template's.
    """

    def __init__(self, folder: Path, *, visibility: int | None = None) -> None:
        self._folder = folder
        self._visibility = visibility
        self._held = held_port()
        self.port: int = self._held.getsockname()[1]
        self._installing: subprocess.Popen[bytes] | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.ready = False

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def begin(self) -> None:
        """Start it, or first the making of its venv; `step` does the rest."""
        self.ready = False
        if ministack_fits():
            self._launch()
        else:
            self._installing = start([sys.executable, "-m", "local", "ministack"], cwd=ROOT)

    def step(self) -> None:
        """Do what can be done by now; `ready` says when everything is.

        Raises:
            NotStarted: it cannot be installed, or it ended.
            ValueError: the template holds something that is not known here.
        """
        if self._installing is not None:
            if self._installing.poll() is None:
                return
            ended, self._installing = self._installing, None
            if ended.returncode != 0:
                raise NotStarted("it could not be installed; what went wrong is above")
            self._launch()
        assert self.process is not None
        if self.process.poll() is not None:
            self.ready = False
            raise NotStarted(f"it ended ({how_it_ended(self.process)})")
        if not self.ready and answers(self.port):
            with contextlib.suppress(Unreachable, ServiceFault, OSError):  # it may just end; the next step says so
                set_up(self.endpoint, json.loads(TEMPLATE.read_text()), visibility=self._visibility)
                save(self.endpoint)
                self.ready = True

    def stop(self) -> None:
        """End it with all that it holds on disk."""
        if self._installing is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._installing.pid, signal.SIGTERM)  # with the pip that it has started
            stop(self._installing)
        if self.process is not None:
            with contextlib.suppress(OSError):
                save(self.endpoint)
                self.process.kill()  # left to itself it first waits for those who wait for messages
            stop(self.process)
        self._held.close()

    def _launch(self) -> None:
        command = [str(MINISTACK_VENV / "bin" / "python"), "-P", str(_SERVER)]
        env = ministack_environment(self._folder, self.port, "sqs,events")
        self.process = start(command, env=env, log=self._folder / "ministack.log", cwd=self._folder)


def client(service: Service, endpoint: str) -> SignedClient:
    """A client of a service on this machine."""
    return SignedClient(service, REGION, endpoint, lambda: Credentials("local", "local"), lambda: datetime.now(UTC))


def save(endpoint: str) -> tuple[str, float]:
    """Put everything that is in the queues on disk.

    Returns: a name of the process that answered, and the seconds it took.

    Raises:
        OSError: it does not answer, or could not save.
    """
    address = urlsplit(endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    try:
        connection.request("POST", "/_regulars/save")
        response = connection.getresponse()
        answer = response.read()
    except http.client.HTTPException as problem:
        raise ConnectionError(f"{type(problem).__name__}: {problem}") from problem
    finally:
        connection.close()
    if response.status != 200:
        raise OSError(f"ministack could not save its queues ({response.status})")
    known = json.loads(answer)
    return known["started"], known["took"]


# ---------------------------------------------------------------- the template


def set_up(endpoint: str, template: dict[str, Any], *, stack: str = STACK, visibility: int | None = None) -> None:
    """Make the queues, the bus and the rules of a template, or bring those there are up to it."""
    queues, bus = client(SQS, endpoint), client(EVENTBRIDGE, endpoint)
    for name, attributes in queue_calls(template, stack):
        if visibility is not None and "RedrivePolicy" in attributes:
            attributes["VisibilityTimeout"] = str(visibility)
        try:
            queues.call("GetQueueUrl", {"QueueName": name})
        except ServiceFault:
            queues.call("CreateQueue", {"QueueName": name, "Attributes": attributes})
        else:
            changing = {key: value for key, value in attributes.items() if key not in _FOR_GOOD}
            queues.call("SetQueueAttributes", {"QueueUrl": f"{endpoint}/{ACCOUNT}/{name}", "Attributes": changing})
    names = _Names(template, stack)
    for properties in _of(template, "AWS::Events::EventBus"):
        name = names.filled(properties["Name"])
        try:
            bus.call("DescribeEventBus", {"Name": name})
        except ServiceFault:
            bus.call("CreateEventBus", {"Name": name})
    for rule, targets in rule_calls(template, stack):
        bus.call("PutRule", rule)
        answer = bus.call(
            "PutTargets", {"Rule": rule["Name"], "EventBusName": rule["EventBusName"], "Targets": targets}
        )
        if answer.get("FailedEntryCount"):
            raise ServiceFault("FailedEntry", 400, {"message": json.dumps(answer)})
    queues.close()
    bus.close()


def queue_calls(template: dict[str, Any], stack: str) -> list[tuple[str, dict[str, str]]]:
    """Name and attributes of each queue of a template, dead-letter queues first."""
    names, calls = _Names(template, stack), []
    for properties in _of(template, "AWS::SQS::Queue"):
        attributes = {name: _text(names.filled(properties[name])) for name in _QUEUE if name in properties}
        if policy := properties.get("RedrivePolicy"):
            attributes["RedrivePolicy"] = json.dumps(names.filled(policy))
        calls.append((names.filled(properties["QueueName"]), attributes))
    return sorted(calls, key=lambda call: "RedrivePolicy" in call[1])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def rule_calls(template: dict[str, Any], stack: str) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """PutRule's arguments and the targets of each rule of a template."""
    names, calls = _Names(template, stack), []
    for properties in _of(template, "AWS::Events::Rule"):
        rule = {
            "Name": names.filled(properties["Name"]),
            "EventBusName": names.filled(properties["EventBusName"]),
            "EventPattern": json.dumps(names.filled(properties["EventPattern"])),
            "State": properties.get("State", "ENABLED"),
        }
        targets = [
            {name: target[name] for name in _TARGET if name in target} | {"Arn": names.filled(target["Arn"])}
            for target in properties["Targets"]
        ]
        calls.append((rule, targets))
    return calls


def ttl_calls(template: dict[str, Any], stack: str) -> list[tuple[str, str, list[str]]]:
    """Table, attribute and key of each table of a template whose items expire."""
    names = _Names(template, stack)
    return [
        (
            names.filled(properties["TableName"]),
            properties["TimeToLiveSpecification"]["AttributeName"],
            [part["AttributeName"] for part in properties["KeySchema"]],
        )
        for properties in _of(template, "AWS::DynamoDB::Table")
        if properties.get("TimeToLiveSpecification", {}).get("Enabled")
    ]


def arn_of(queue: str) -> str:
    """The ARN of a queue, by its full name."""
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"


def _of(template: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    return (made["Properties"] for made in template["Resources"].values() if made["Type"] == kind)


class _Names:
    """Fills in the intrinsics by which queues, buses and rules of a template refer to each other."""

    def __init__(self, template: dict[str, Any], stack: str) -> None:
        self._resources = template["Resources"]
        self._stack = stack

    def filled(self, value: Any) -> Any:
        """A value of the template as a literal.

        Raises:
            ValueError: it uses an intrinsic that is not known here.
        """
        match value:
            case {"Ref": "Stack"}:
                return self._stack
            case {"Ref": str(other)} if other in self._resources:
                return self._name(other)
            case {"Fn::Sub": str(text)} if "${" not in text.replace("${Stack}", ""):
                return text.replace("${Stack}", self._stack)
            case {"Fn::GetAtt": [str(other), "Arn"]} if self._resources[other]["Type"] == "AWS::SQS::Queue":
                return arn_of(self._name(other))
            case dict():
                if any(name == "Ref" or name.startswith("Fn::") for name in value):
                    raise ValueError(f"{json.dumps(value)}: the local stack does not know how to fill that in")
                return {name: self.filled(part) for name, part in value.items()}
            case list():
                return [self.filled(part) for part in value]
        return value

    def _name(self, other: str) -> Any:
        properties = self._resources[other]["Properties"]
        return self.filled(properties.get("QueueName") or properties["Name"])
