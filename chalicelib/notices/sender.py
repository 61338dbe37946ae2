"""The port to whatever brings a notice to a member, and the outbox that stands behind it for now."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from chalicelib.kernel.personal import Kind, masked
from chalicelib.notices.models import Channel, Notice
from chalicelib.storage.objects import Objects

if TYPE_CHECKING:
    from chalicelib.storage.carriers import Carrier


class Sender(Protocol):
    """All that the product asks of a channel."""

    def send(self, notice: Notice) -> None:
        """Send a notice; the same one again is the same message.

        Raises:
            Trouble: it did not get there; send it again.
        """


class Courier(Sender, Protocol):
    """A sender of what somebody waits for."""

    def reaches(self, channel: Channel, to: str) -> bool:
        """Whether notices may go there at all; asked before anything is counted or written."""


_KINDS = {Channel.SMS: Kind.MOBILE, Channel.EMAIL: Kind.EMAIL}


class Outbox:
    """Keeps each notice as a file of the archive, `outbox/<day>/<delivery>.json`, where a person can read it.

    It sends nothing, so it has no use for the address. A notice to a member names the member, who may be erased; what
    goes to an address that may be nobody's, as a code does, shows it masked. Real channels for notices come with
    campaigns; they take this place, as `Carried` does for codes.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def reaches(self, channel: Channel, to: str) -> bool:  # noqa: ARG002 - the port's shape
        """See `Courier.reaches`."""
        return True

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
            shown |= {"list_unsubscribe": notice.opt_out, "list_unsubscribe_post": "List-Unsubscribe=One-Click"}
        content = json.dumps(shown, ensure_ascii=False, indent=1).encode() + b"\n"
        key = f"outbox/{notice.at:%Y/%m/%d}/{notice.delivery_id}.json"
        self._objects.put(key, content, kind="application/json")


Tell = Callable[[str, Mapping[str, Any]], None]
"""Tells operators of something, in one line of the log."""


class Carried:
    """Hands notices to a carrier, and keeps nothing of them.

    What a carrier does not bring to an address is told to operators, by the delivery's id, and to nobody else: whoever
    asked would learn something of an address that is not theirs.
    """

    def __init__(self, carriers: "Mapping[str, Carrier]", tell: Tell) -> None:
        self._carriers = carriers
        self._tell = tell

    def reaches(self, channel: Channel, to: str) -> bool:
        """See `Courier.reaches`."""
        carrier = self._carriers.get(channel.value)
        return carrier is not None and carrier.reaches(to)

    def send(self, notice: Notice) -> None:
        """See `Sender.send`."""
        from chalicelib.storage.carriers import Message, MessageRefused  # noqa: PLC0415 - a laptop has no carrier

        channel = notice.channel.value
        message = Message(notice.delivery_id, channel, notice.to, notice.language.value, notice.subject, notice.text)
        try:
            self._carriers[channel].carry(message)
        except MessageRefused as refused:
            self._tell("message", {"refused": refused.code, "channel": channel, "delivery": notice.delivery_id})
