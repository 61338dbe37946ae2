"""Suppressions, and what is known of whether a member may be written to."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, AwareDatetime, StringConstraints

from chalicelib.consents.models import ContactChannel
from chalicelib.kernel.ids import MemberId, SuppressionId
from chalicelib.kernel.records import Reason, Record, without_bank_card
from chalicelib.members.models import Profile


class SuppressionReason(StrEnum):
    """Why an address is not written to."""

    BOUNCED = "bounced"
    """It came back for good: there is no such mailbox or number."""
    COMPLAINED = "complained"
    """Who has it called a message of ours spam."""
    OPTED_OUT = "opted_out"
    """Somebody there replied that they want no more, and no member has the address."""
    ASKED = "asked"
    """Who has it asked staff."""


class SuppressionSource(StrEnum):
    """How it came to us."""

    STAFF = "staff"
    RECEIPT = "receipt"
    """A provider's notification."""
    REPLY = "reply"
    """A reply to a message."""


class SuppressedChannel(StrEnum):
    """Channels that have addresses of their own."""

    SMS = "sms"
    EMAIL = "email"
    WECHAT = "wechat"


AddressText = Annotated[
    str, StringConstraints(min_length=3, max_length=254, pattern=r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$")
]


class SuppressAddress(Record):
    """See that an address is not written to any more, whoever has it."""

    channel: SuppressedChannel
    address: Annotated[AddressText, AfterValidator(without_bank_card)]
    """A mobile number, an e-mail address or an openid. Only a blind index of it is kept."""
    reason_code: Literal["bounced", "complained", "asked"] = "asked"
    reason: Reason
    """At least four letters or digits; kept in the audit entry."""
    dry_run: bool = False


class LiftSuppression(Record):
    """See that an address may be written to again."""

    reason: Reason
    """At least four letters or digits; kept in the audit entry."""
    dry_run: bool = False


class Suppression(Record):
    """An address that is not written to, or was not for a while."""

    suppression_id: SuppressionId
    channel: SuppressedChannel
    reason_code: SuppressionReason
    source: SuppressionSource
    suppressed_at: AwareDatetime
    by: str
    """Who saw to it, as tokens name them; the provider, where it was one."""
    lifted_at: AwareDatetime | None = None
    """Since then it may be written to again."""
    version: int = 1


class Barred(StrEnum):
    """Why a member is not written to."""

    GONE = "gone"
    """Closed, erased, or merged into another member, who is asked instead; or there never was one of that id."""
    SUSPENDED = "suspended"
    """A suspended member is told of the account, and of nothing else."""
    NO_CONSENT = "no_consent"
    NO_ADDRESS = "no_address"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a member may be written to for a purpose by a channel, as of now.

    Attributes:
        address: where; None: not at all.
        barred: why not.
        profile: as it was read; None where the member is gone.
    """

    member_id: MemberId
    address: str | None = None
    barred: Barred | None = None
    profile: Profile | None = None

    @property
    def allowed(self) -> bool:
        """Whether they may."""
        return self.barred is None


KINDS = {ContactChannel.SMS: "mobile", ContactChannel.EMAIL: "email", ContactChannel.WECHAT: "ext"}
"""The kind of identifier that a channel's address is."""


class ReplySaid(StrEnum):
    """What a reply to a message meant."""

    NO_OFFERS = "no_offers"
    """T, TD, R, 退订 …: the answer that commercial messages ask for; what is about the account goes on."""
    NOTHING = "nothing"
    """STOP, UNSUBSCRIBE …: carriers take it for all that comes from the number."""


class ReplyDone(StrEnum):
    """What became of a reply."""

    WITHDRAWN = "withdrawn"
    """The member who has the number gets no more."""
    SUPPRESSED = "suppressed"
    """No member has the number, and it is not written to any more."""
    NOT_UNDERSTOOD = "not_understood"
    """It says nothing of the sort; whoever reads replies may want to."""


class Replied(NamedTuple):
    """What became of a reply, and whose it was.

    Attributes:
        member_id: of the member who withdrew; None where nobody did.
    """

    done: ReplyDone
    member_id: MemberId | None = None
