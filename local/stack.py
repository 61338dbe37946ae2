"""The stack that a tool works on: the one that the environment names, else the one that runs on this laptop."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from chalicelib.runtime import wiring
from chalicelib.storage.bus import EVENTBRIDGE, Bus, EventBus
from chalicelib.storage.objects import BucketObjects, FolderObjects, Objects
from chalicelib.storage.queues import SQS, Queues, SqsQueues
from chalicelib.storage.signed import Credentials, Service, ServiceFault, SignedClient
from local.runs import find_run
from local.settings import Settings, app_environment, environment

DEAD = "-dlq"


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
