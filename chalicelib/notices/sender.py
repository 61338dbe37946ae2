"""The port to whatever brings a notice to a member, and the outbox that stands behind it for now."""

import json
from typing import Any, Protocol

from chalicelib.kernel.personal import Kind, masked
from chalicelib.notices.models import Channel, Notice
from chalicelib.storage.objects import Objects


class Sender(Protocol):
    """All that the product asks of a channel."""

    def send(self, notice: Notice) -> None:
        """Send a notice; the same one again is the same message.

        Raises:
            Trouble: it did not get there; send it again.
        """


_KINDS = {Channel.SMS: Kind.MOBILE, Channel.EMAIL: Kind.EMAIL}


class Outbox:
    """Keeps each notice as a file of the archive, `outbox/<day>/<delivery>.json`, where a person can read it.

    It sends nothing, so it has no use for the address. A notice to a member names the member, who may be erased; what
    goes to an address that may be nobody's, as a code does, shows it masked. Real channels come with campaigns; they
    take this place.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def send(self, notice: Notice) -> None:
        """See `Sender.send`. The name of the file follows from the notice: twice is once."""
        shown: dict[str, Any] = {
            "delivery_id": notice.delivery_id,
            "at": notice.at.isoformat(),
            "member_id": notice.member_id,
            "event_id": notice.event_id,
            "event_type": notice.event_type,
            "channel": notice.channel.value,
            "language": notice.language.value,
            "subject": notice.subject,
            "text": notice.text,
        }
        if notice.member_id is None:
            shown["to"] = masked(_KINDS[notice.channel], notice.to)
        if notice.opt_out:
            # A channel puts the address before it under which people reach the API.
            shown |= {"list_unsubscribe": notice.opt_out, "list_unsubscribe_post": "List-Unsubscribe=One-Click"}
        content = json.dumps(shown, ensure_ascii=False, indent=1).encode() + b"\n"
        key = f"outbox/{notice.at:%Y/%m/%d}/{notice.delivery_id}.json"
        self._objects.put(key, content, kind="application/json")
