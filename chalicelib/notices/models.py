"""Notices and where they go."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.members.models import ACCOUNT_PURPOSE

CONSENT_PURPOSE = ACCOUNT_PURPOSE
"""A member who withdraws the consent of this purpose is told nothing."""


class Channel(StrEnum):
    """How a notice reaches a member."""

    SMS = "sms"
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to a member.

    Attributes:
        delivery_id: follows from the event and the channel: the same notice is never two.
        member_id: to whom; None where an address is written to, whoever has it.
        event_id: what it tells of; None where it tells of none.
        to: mobile number in E.164, or e-mail address.
        subject: empty for channels that have none.
        opt_out: the link that ends messages of this kind; empty where there is none.
    """

    delivery_id: str
    member_id: MemberId | None
    event_id: str | None
    event_type: str
    channel: Channel
    to: str
    language: Language
    subject: str
    text: str
    at: datetime
    opt_out: str = ""
