"""What sending needs of its neighbours, as narrow as it is needed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from chalicelib.deliveries.models import DeliveryId, Gift, Outcome, Row
from chalicelib.providers.models import Result
from chalicelib.providers.pace import Go, Wait
from chalicelib.providers.port import Provider, ProviderBusy
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table


class Rendered(Protocol):
    """A message in words; see `templates.models.Rendered`."""

    @property
    def subject(self) -> str:
        """Empty for channels without."""

    @property
    def text(self) -> str:
        """As it is sent."""

    @property
    def html(self) -> str:
        """Empty for channels without."""

    @property
    def template_code(self) -> str:
        """The provider's own template, where it is one."""

    @property
    def params(self) -> Mapping[str, str]:
        """What fills that one in."""

    @property
    def signature(self) -> str:
        """Who signs a text message."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Fields that there was nothing to put in for: it must not be sent."""


class Renderer(Protocol):
    """A template in a language, compiled once; see `templates.rules.Compiled`."""

    @property
    def needed(self) -> frozenset[str]:
        """The fields that it has."""

    def filled(self, values: Mapping[str, str]) -> Rendered:
        """What one member is written."""


class Words(Protocol):
    """Where templates come from."""

    def renderer(self, template_id: str, version: int, language: str, provider: str) -> Renderer:
        """A version of a template in a language, as a provider takes it, compiled.

        Raises:
            LookupError: there is none.
        """

    def language(self, template_id: str, version: int, own: str, program: str) -> str:
        """The language in which a version of a template goes to a member.

        Args:
            own: the member's; empty: they have none.
            program: the program's.
        """


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a member just now.

    Attributes:
        why_not: why they may not be written to; None when they may.
        contact: contact data, opened.
    """

    why_not: Outcome | None
    contact: Mapping[str, Any]


class Reach(Protocol):
    """Who may be written to, and who has changed."""

    def changed(self, since: datetime, now: datetime) -> Mapping[str, str]:
        """Members of whom something that matters to sending changed since then, each with a mark of their changes.

        Read consistently: whatever was acknowledged before this call is in it.
        """

    def standing(self, member_ids: Sequence[str], purpose: str, channel: str) -> Mapping[str, Standing]:
        """What is known of members just now, read consistently: status, consent, suppression, address."""

    def suppressed(self, channel: str, address: str) -> bool:
        """Whether an address is not written to, whoever has it; read consistently."""


class Giver(Protocol):
    """Gives what comes with a message."""

    def give(self, key: str, member_id: str, gift: Gift, now: datetime) -> bool:
        """Give it, once for the key, whoever asks how often; False: this member cannot be given it.

        Raises:
            Trouble: try again.
        """


class Pace(Protocol):
    """How fast a channel may send; see `providers.pace.Pacer`."""

    def take(self, channel: str, n: int, cost_micro: int, now: datetime) -> Go | Wait:
        """Ask whether messages may be sent now."""

    def went(self, channel: str, what: ProviderBusy | Sequence[Result], now: datetime) -> None:
        """Tell how a call went."""

    def give_back(self, now: datetime) -> None:
        """Give back what was reserved and not spent."""


class Contacts(Protocol):
    """Opens contact data, of many at once."""

    def open_many(self, sealed: Mapping[str, bytes]) -> Mapping[str, Mapping[str, Any] | None]:
        """Contact data by member; None: the key is gone. Left out: sealed with a key that was replaced since."""


Append = Callable[[str, Sequence[Row], datetime], None]
"""Appends rows to the lake's deliveries or receipts, in a file of that name; the same again changes nothing."""


class Links(Protocol):
    """Makes links of messages; empty ones where there is no key that they are signed with."""

    def opt_out(
        self, member_id: str, purpose: str, channel: str, name: DeliveryId, now: datetime, *, language: str
    ) -> str:
        """The link by which a member ends messages of a purpose by a channel.

        Args:
            name: the delivery's in whose message it stands.
            language: of that message.
        """

    def preferences(self, member_id: str, channel: str, name: DeliveryId, now: datetime, *, language: str) -> str:
        """The link to all that a member may be sent."""


@dataclass(frozen=True)
class Office:
    """What a worker that sends needs.

    Attributes:
        worker: names this worker among others; a process has one.
        clock: now.
        pause: waits so many seconds.
        language: the program's.
    """

    table: Table
    ops: Table
    objects: Objects
    contacts: Contacts
    words: Words
    reach: Reach
    providers: Mapping[str, Provider]
    pace: Pace
    append: Append
    worker: str
    clock: Callable[[], datetime]
    pause: Callable[[float], None]
    links: Links
    language: str = "zh"
    giver: Giver | None = None
