"""From a queue to a function, as Lambda's event source mapping does it."""

import sys
import time
import traceback
from typing import Any

from chalicelib.storage.signed import ServiceFault, SignedClient, Unreachable
from local.messaging import arn_of
from local.pump.functions import Failed, Invoker, failed_items
from local.settings import REGION

_WAIT = 2
"""Seconds that a request for messages is held open: below what the client waits for an answer."""
_PER_RECEIVE = 10


class QueuePump:
    """Reads one queue into one function.

    What the function did is deleted; what it failed at stays hidden for the visibility time-out, is received again, and
    goes to the dead-letter queue by the queue's own policy.
    """

    def __init__(self, sqs: SignedClient, url: str, invoke: Invoker, *, batch: int = 10, window: float = 0.0) -> None:
        self._sqs = sqs
        self._url = url
        self._invoke = invoke
        self._batch = batch
        self._window = window

    def run(self) -> None:
        """Go on until the process is ended."""
        while True:
            try:
                self.step()
            except (Unreachable, ServiceFault) as problem:
                print(f"The queue does not answer ({problem}); trying again.", file=sys.stderr, flush=True)
                time.sleep(0.5)

    def step(self) -> None:
        """Receive a batch, or wait a while for one; hand it over; delete what succeeded."""
        messages = self._gathered()
        if not messages:
            return
        ids = [message["MessageId"] for message in messages]
        try:
            failed = failed_items(self._invoke({"Records": [self._record(each) for each in messages]}), ids)
        except Failed:
            traceback.print_exc()
            failed = set(ids)
        self._delete([message for message in messages if message["MessageId"] not in failed])

    def _gathered(self) -> list[dict[str, Any]]:
        """Up to a batch of messages; after the first, others are waited for as long as the window is."""
        messages = self._received(self._batch, _WAIT)
        deadline = time.monotonic() + self._window
        while messages and len(messages) < self._batch:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            more = self._received(self._batch - len(messages), 0)
            messages += more
            if not more:
                time.sleep(min(0.2, left))
        return messages

    def _received(self, most: int, wait: int) -> list[dict[str, Any]]:
        asked = {
            "QueueUrl": self._url,
            "MaxNumberOfMessages": min(most, _PER_RECEIVE),
            "WaitTimeSeconds": wait,
            "AttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        }
        return self._sqs.call("ReceiveMessage", asked).get("Messages") or []

    def _record(self, message: dict[str, Any]) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": message.get("MessageAttributes", {}),
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": arn_of(self._url.rpartition("/")[2]),
            "awsRegion": REGION,
        }

    def _delete(self, messages: list[dict[str, Any]]) -> None:
        """Delete messages. One that is not deleted is received again, which the function has to bear anyway."""
        for start in range(0, len(messages), _PER_RECEIVE):
            batch = messages[start : start + _PER_RECEIVE]
            entries = [{"Id": str(i), "ReceiptHandle": each["ReceiptHandle"]} for i, each in enumerate(batch)]
            self._sqs.call("DeleteMessageBatch", {"QueueUrl": self._url, "Entries": entries})
