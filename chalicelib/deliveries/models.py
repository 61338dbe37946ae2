"""Runs, their parts, single messages, outcomes and receipts.

What is handled by the hundred thousand is a tuple or a dataclass: checking each recipient with pydantic costs more than
sending to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple, cast

from pydantic import AwareDatetime, Field

from chalicelib.kernel.ids import Id, MemberId
from chalicelib.kernel.pages import Paging
from chalicelib.kernel.records import Record

RECIPIENTS_MAX = 500
"""Recipients of a part: one letter each in its item, and seconds of work for a worker."""

FORM = 1
"""Version of the form in which parts are written."""


class DeliveryId(Id):
    """Names a delivery: follows from what is sent for, the step, the member and the channel.

    It also names the member, and the run where it is one of a run, so that a receipt finds both without an index:
    `dlv_<run or "one">-<member>-<check>`.
    """

    pattern = r"^dlv_[A-Za-z0-9_]{3,80}-[a-z2-7]{16}-[0-9a-f]{16,40}$"


class RunId(Id):
    """Names a run."""

    pattern = r"^[a-z]{2,4}_[A-Za-z0-9_]{1,60}$"


class Outcome(StrEnum):
    """What became of a recipient, as the letter that a part's item keeps. Small: not yet a row of the lake."""

    OPEN = "."
    """Not decided: to be sent, or waiting for their hour."""
    ASKED = "?"
    """An idempotent provider was asked and gave no answer: to be asked again, with the same id."""
    SENT = "s"
    UNKNOWN = "u"
    """Whether it went out is not known; it is never sent again."""
    REFUSED = "r"
    """The provider took it for good that it does not send this."""
    EXPIRED = "x"
    """It could not be sent in time."""
    CANCELLED = "c"
    """The run was cancelled first."""
    NO_CONSENT = "o"
    """The member has withdrawn, or never gave, consent to this purpose by this channel."""
    SUPPRESSED = "p"
    """The address bounced for good, or its owner complained."""
    NOT_A_MEMBER = "m"
    """Closed, merged, suspended or erased."""
    NO_KEY = "e"
    """The member's key is gone: erased."""
    NO_ADDRESS = "a"
    """There is no address for the channel any more."""
    NO_WORDS = "w"
    """There is no such version of the template, or it does not say it in the language, or not by this provider."""
    FIELD_MISSING = "f"
    """A field of the template has no value for this member, and no stand-in."""
    NO_GIFT = "g"
    """The gift that the message speaks of could not be given."""

    @property
    def pending(self) -> bool:
        """Whether something is still to be done."""
        return self in PENDING

    @property
    def kind(self) -> "DeliveryOutcome":
        """`sent`, `unknown`, `refused`, `expired` or `skipped`, as rows of the lake say; `waiting` before."""
        if self.pending:
            return "waiting"
        named = (Outcome.SENT, Outcome.UNKNOWN, Outcome.REFUSED, Outcome.EXPIRED)
        return cast("DeliveryOutcome", self.name.lower()) if self in named else "skipped"

    @property
    def reason(self) -> str:
        """Why not, in one word; empty for what was sent."""
        return "" if self is Outcome.SENT else self.name.lower()


PENDING = (Outcome.OPEN, Outcome.ASKED)


class RunStatus(StrEnum):
    """How far a run is. Only `sending` sends."""

    PLANNING = "planning"
    SENDING = "sending"
    PAUSED = "paused"
    SENT = "sent"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Wording:
    """Which template says it in a variant, by a channel."""

    variant: str
    channel: str
    template_id: str
    version: int


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours in which nobody is written to, minutes of the day in a zone; from 22:00 to 08:00 is (1320, 480)."""

    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Gift:
    """Points that come with the message, given before it."""

    points: int
    days: int | None = None
    """They expire so many days later; None: as the program says."""
    by: str | None = None
    """Who answers for it: whoever launched it, or let the member in; None: nobody noted it."""
    own: str | None = None
    """The account that is that person's own, where that is known."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a worker has to know of a run; an item of table `core`.

    Attributes:
        run_id: letters, digits and `_`; it is part of every delivery's id.
        source: `campaign`, `journey` …
        step: of the source; a run has one.
        purpose: the consent that it needs.
        changes_since: who changed since then is looked at afresh before they are written to.
        send_until: afterwards nothing of it is sent.
        zone: in which quiet hours are.
        parts: how many parts were planned, and `planned` recipients in them.
        more: what else its item has, of its source's own: it goes on from version to version.
    """

    run_id: str
    source: str
    source_id: str
    step: str
    status: RunStatus
    purpose: str
    wordings: tuple[Wording, ...]
    changes_since: datetime
    send_until: datetime
    zone: str
    parts: int = 0
    planned: int = 0
    quiet: Quiet | None = None
    gift: Gift | None = None
    version: int = 1
    more: Mapping[str, Any] = field(default_factory=dict)


class Recipient(NamedTuple):
    """A line of a part.

    Attributes:
        m: the lake's join key, as of the generation that the plan was made from.
        language: of the message; empty for the program's.
        variant: names the wording.
        sealed: the profile's `contact` attribute exactly as it is stored, in base64.
        fields: what the template may say of them that is not personal.
        not_before: milliseconds since 1970 of the hour that is best for them; 0 for any.
    """

    member_id: str
    m: int
    language: str
    variant: str
    sealed: str
    fields: Mapping[str, str] = {}
    not_before: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a run's plan, all by one channel; written down before anything is sent."""

    run_id: str
    number: int
    channel: str
    recipients: tuple[Recipient, ...]


class PartMessage(Record):
    """A message of the queue `campaign-sends`."""

    run_id: str
    part: int


@dataclass(frozen=True, slots=True)
class PartState:
    """How far a part is; an item of table `ops`.

    Attributes:
        outcomes: a letter for each recipient; a capital once the lake has its row.
        claim: places of the recipients whom a provider is being asked about.
        lease_until: milliseconds; until then the claim is its worker's alone.
        cost_micro: what came to be paid, millionths of the currency.
        done: whether it is counted among the run's.
    """

    run_id: str
    part: int
    outcomes: str
    claim: tuple[int, ...] = ()
    lease_until: int = 0
    worker: str = ""
    cost_micro: int = 0
    decided_at: int = 0
    done: bool = False
    version: int = 0

    def pending(self) -> list[int]:
        """Places of those who are not decided."""
        return [place for place, letter in enumerate(self.outcomes) if letter in ".?"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, in recipients; exact for parts that are through."""

    planned: int
    parts: int
    parts_done: int
    outcomes: Mapping[Outcome, int]
    receipts: Mapping[str, int]
    cost_micro: int

    @property
    def decided(self) -> int:
        """Recipients whose outcome is counted."""
        return sum(self.outcomes.values())


# ---------------------------------------------------------------- single messages


@dataclass(frozen=True, slots=True)
class Single:
    """A message to one member, for a journey, a trigger, a test.

    Attributes:
        source, source_id, step: what it is sent for; with the member and the channel they make it one message.
        template_id, template_version: which words.
        fields: what the template may say that is not personal.
        to: an address in place of the member's, for test sends: consent is not asked, suppression is.
        send_until: later it is not sent any more.
    """

    source: str
    source_id: str
    step: str
    member_id: MemberId
    channel: str
    purpose: str
    template_id: str
    template_version: int
    send_until: datetime
    variant: str = ""
    language: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    to: str = ""
    quiet: Quiet | None = None
    zone: str = "UTC"
    m: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a single message.

    Attributes:
        wait_until: when `outcome` is open: try again then; why is in `waits_for`.
        code: the provider's word for what became of it; of `FIELD_MISSING` the fields, apart by spaces.
    """

    delivery_id: DeliveryId
    outcome: Outcome
    at: datetime
    wait_until: datetime | None = None
    waits_for: str = ""
    provider: str = ""
    cost_micro: int = 0
    code: str = ""


# ---------------------------------------------------------------- receipts


@dataclass(frozen=True, slots=True)
class Received:
    """What came of receipts: taken, known before, and of deliveries that are not ours."""

    taken: int
    repeated: int
    unknown: int


# ---------------------------------------------------------------- what the API says

DeliveryOutcome = Literal["waiting", "sent", "unknown", "refused", "expired", "skipped"]


class MessageDelivery(Record):
    """A message to a member, and what became of it."""

    delivery_id: DeliveryId
    member_id: MemberId
    source: str
    """What it was sent for: `campaign`, `journey` …"""
    source_id: str
    step: str
    run_id: str | None
    """The run that it belongs to; null for a single message."""
    channel: str
    variant: str | None
    outcome: DeliveryOutcome
    reason: str | None
    """Why it was not sent, or that it is not known whether it was: `no_consent`, `suppressed`, `not_a_member`, `no_key`
    (erased), `no_address`, `no_words` (the template does not say it in the language, or by this provider),
    `field_missing` (a field of it has no value for the member and no stand-in; a preview for the member names it),
    `no_gift`, `refused`, `expired`, `cancelled`, `unknown`."""
    at: AwareDatetime | None
    """When that was decided; null where the run's part keeps no time of its own."""


@dataclass(frozen=True, slots=True)
class KnownOfMember:
    """What the lake knows of messages to a member, and to whoever was merged into them.

    Attributes:
        messages: the newest first.
        heard: what was heard of them, by the delivery: `delivered`, `opened` …, and when.
        held_out: campaigns that left the member out to compare, and since when.
    """

    messages: tuple[MessageDelivery, ...]
    heard: Mapping[str, tuple[tuple[str, datetime], ...]]
    held_out: tuple[tuple[str, datetime], ...]


class StuckPart(Record):
    """A part that failed, and why."""

    part: int
    fault: str
    times: int
    at: AwareDatetime


class DeliveriesAsked(Paging):
    """Whose deliveries: a member's, or a run's."""

    member_id: MemberId | None = None
    run_id: RunId | None = None
    outcome: DeliveryOutcome | None = None
    """Of a run: only those with this outcome; `unknown` are those of which nobody knows whether they went out."""


class RunProgress(Record):
    """How far a run is. Exact for the parts that are through."""

    run_id: str
    status: RunStatus
    planned: Annotated[int, Field(ge=0)]
    parts: int
    parts_done: int
    outcomes: dict[str, int]
    """Recipients by outcome: `sent`, `unknown`, `refused`, or the reason for which they were skipped."""
    receipts: dict[str, int]
    """What providers told afterwards: `delivered`, `bounced` …"""
    cost_micro: int
    stuck: tuple[StuckPart, ...]


Row = dict[str, Any]
"""A row of the lake."""
