"""The port to queues, and SQS behind it."""

from collections.abc import Sequence
from typing import Any, Protocol

from chalicelib.storage.batches import Sender, batches, is_passing
from chalicelib.storage.signed import Service, ServiceFault, SignedClient

SQS = Service("sqs", "AmazonSQS")


class Queues(Protocol):
    """All that the product asks of queues: that messages get there at least once."""

    def send(self, queue_url: str, bodies: Sequence[str], *, delay: int = 0) -> None:
        """Send messages, each at least once.

        Args:
            delay: seconds before they can be received, 900 at the most.

        Raises:
            StorageBusy: some did not arrive in time; send them all again.
        """


class SqsQueues:
    """Queues of SQS.

    Args:
        client: a client of `SQS`.
        sender: how patiently what failed is sent again.
    """

    def __init__(self, client: SignedClient, sender: Sender | None = None) -> None:
        self._client = client
        self._sender = sender or Sender()

    def send(self, queue_url: str, bodies: Sequence[str], *, delay: int = 0) -> None:
        """See `Queues.send`.

        Raises:
            StorageBusy: some did not arrive in time; send them all again.
            ServiceFault: there is no such queue, or it refuses a message for good.
        """

        def send(batch: Sequence[str]) -> Sequence[str]:
            return self._send(queue_url, batch, delay)

        for batch in batches(bodies, lambda body: len(body.encode())):
            self._sender.deliver(batch, send, whom="The queue")

    def _send(self, queue_url: str, bodies: Sequence[str], delay: int) -> list[str]:
        entries: list[dict[str, Any]] = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)]
        if delay:
            entries = [{**entry, "DelaySeconds": delay} for entry in entries]
        answer = self._client.call("SendMessageBatch", {"QueueUrl": queue_url, "Entries": entries})
        for failed in answer.get("Failed") or ():
            code = failed.get("Code", "SenderFault")
            if failed.get("SenderFault") and not is_passing(code):
                raise ServiceFault(code, 400, failed)
        arrived = {each["Id"] for each in answer.get("Successful") or ()}
        return [body for i, body in enumerate(bodies) if str(i) not in arrived]
