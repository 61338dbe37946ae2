"""The stack that a tool works on: the one that the environment names, else the one that runs on this laptop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from chalicelib.runtime import wiring
from chalicelib.runtime.settings import load
from chalicelib.runtime.wiring import House
from chalicelib.storage.bus import EVENTBRIDGE, Bus, EventBus
from chalicelib.storage.objects import BucketObjects, FolderObjects, Objects
from chalicelib.storage.queues import SQS, Queues, SqsQueues
from chalicelib.storage.signed import Credentials, Service, ServiceFault, SignedClient
from local.runs import find_run
from local.settings import Settings, adopt, app_environment, environment

DEAD = "-dlq"

SETTLED = timedelta(minutes=1)
"""So long after a deployment there may be processes of before: a request takes 15 seconds at the most."""


class NoStack(Exception):
    """There is nothing to work on."""


class NoQueue(Exception):
    """The stack has no such queue."""


@dataclass(frozen=True)
class Stack:
    """A stack's queues, bus and archive.

    Attributes:
        name: prefix of its resources.
        sqs: for what the port to queues has no word for: receiving and deleting.
        archive: None where none is named.
    """

    name: str
    sqs: SignedClient
    queues: Queues
    bus: Bus
    archive: Objects | None

    def queue_url(self, name: str) -> str:
        """The URL of a queue: `notices`, `regulars-dev-notices`, or a URL, which is itself.

        Raises:
            NoQueue: there is none of that name.
        """
        if "://" in name:
            return name
        full = name if name.startswith(f"{self.name}-") else f"{self.name}-{name}"
        try:
            url: str = self.sqs.call("GetQueueUrl", {"QueueName": full})["QueueUrl"]
        except ServiceFault as fault:
            if fault.status >= 500:
                raise
            raise NoQueue(f"There is no queue {full} ({fault.code}).") from None
        return url


def find_stack(chosen: Settings) -> Stack:
    """The stack of REGULARS_STACK, else the run of this DATA_DIR.

    Raises:
        NoStack: neither is there.
    """
    env = environment()
    if env.get("REGULARS_STACK"):
        return _stack(env)
    run = find_run(chosen.data_dir)
    if run is None or not run.messaging:
        raise NoStack(
            f"No stack is named (REGULARS_STACK), and nothing runs from {chosen.data_dir}; "
            f"start it first: make run DATA_DIR={chosen.data_dir}"
        )
    return _stack(app_environment(chosen, run.dynamodb, run.messaging))


def _stack(env: Mapping[str, str]) -> Stack:
    name, region, endpoint = env["REGULARS_STACK"], env.get("AWS_REGION"), env.get("AWS_ENDPOINT_URL") or None
    if not region:
        raise NoStack("AWS_REGION is not set.")

    def credentials() -> Credentials:
        access, secret = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
        if access and secret:
            return Credentials(access, secret, env.get("AWS_SESSION_TOKEN"))
        return wiring.credentials()

    def client(service: Service) -> SignedClient:
        return SignedClient(service, region, endpoint, credentials, wiring.utc_now)

    sqs = client(SQS)
    bus = EventBus(client(EVENTBRIDGE), env.get("REGULARS_BUS") or f"{name}-events")
    return Stack(name, sqs, SqsQueues(sqs), bus, _archive(env.get("REGULARS_ARCHIVE"), region, endpoint))


def _archive(place: str | None, region: str, endpoint: str | None) -> Objects | None:
    if not place:
        return None
    if place.startswith("file:"):
        return FolderObjects(Path(unquote(urlsplit(place).path)))
    return BucketObjects(place, region, endpoint)


Asked = Callable[[str, str], Mapping[str, Any]]
"""Gives the configuration of a function of a region."""


def _configuration(name: str, region: str) -> Mapping[str, Any]:
    import boto3  # noqa: PLC0415 - slow to import, and only an operator comes here

    found: Mapping[str, Any] = boto3.client("lambda", region_name=region).get_function_configuration(FunctionName=name)
    return found


def house_of_stack(
    env: Mapping[str, str], *, asked: Asked = _configuration, now: Callable[[], datetime], function: str = "api"
) -> House:
    """The house of a deployed stack: what one of its functions was told, with the operator's own credentials.

    So the tool has the keys in the very order in which the stack has them, and nobody types a key.

    Raises:
        NoStack: it is being deployed, or was a moment ago: processes of before may still be at work.
    """
    name, region = f"{env['REGULARS_STACK']}-{function}", env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or ""
    if not region:
        raise NoStack("Set AWS_REGION.")
    said = asked(name, region)
    if said.get("LastUpdateStatus") != "Successful" or said.get("State", "Active") not in ("Active", "Inactive"):
        raise NoStack(f"{name} is being changed, or could not be: {said.get('LastUpdateStatus')}.")
    since = now() - datetime.fromisoformat(str(said["LastModified"]))
    if since < SETTLED:
        left = int((SETTLED - since).total_seconds()) + 1
        raise NoStack(f"{name} was changed a moment ago; processes of before may be at work. Again in {left} seconds.")
    told = {key: value for key, value in said["Environment"]["Variables"].items() if key.startswith("REGULARS_")}
    adopt(told | {"AWS_REGION": region})
    return wiring.build(load())
