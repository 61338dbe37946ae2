"""Integration keys: the commands, and what they are answered."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, model_validator

from chalicelib.identity.keys import KeyStatus
from chalicelib.identity.permissions import FOR_INTEGRATIONS, Permission
from chalicelib.kernel.ids import IntegrationKeyId, ShopId
from chalicelib.kernel.records import Day, Line, Note, Record


class KeyScope(StrEnum):
    """How far a key's permissions reach."""

    SHOP = "shop"
    ALL = "all"


class MakeIntegrationKey(Record):
    """Make a key that a till or a partner calls with."""

    name: Line
    """What it is for: `till 3, Nanjing Road`."""
    permissions: Annotated[tuple[Permission, ...], Field(min_length=1, max_length=len(FOR_INTEGRATIONS))]
    scope: KeyScope
    shop_ids: Annotated[tuple[ShopId, ...], Field(max_length=100)] = ()
    """Its shops, where its scope is `shop`."""
    rate_per_minute: Annotated[int, Field(ge=1, le=60_000)] = 600
    """Requests a minute; each process of the app counts for itself."""
    expires_on: Day | None = None
    """The last day on which it is good; null: until it is revoked."""
    reason: Note | None = None

    @model_validator(mode="after")
    def _shops_fit_the_scope(self) -> Self:
        if (self.scope is KeyScope.SHOP) != bool(self.shop_ids):
            raise ValueError("a key of scope shop names its shops, one of scope all names none")
        return self


class RotateIntegrationKey(Record):
    """Give a key another secret. The one before is good for the overlap, so that tills can be changed one by one."""

    overlap_hours: Annotated[int, Field(ge=0, le=168)] = 24
    reason: Note | None = None


class RevokeIntegrationKey(Record):
    """Take a key back, for good. It bites within half a minute."""

    reason: Note


class IntegrationKeyView(Record):
    """An integration key."""

    key_id: IntegrationKeyId
    name: str
    prefix: str
    """How the key begins, as it was handed out."""
    last_four: str
    """How it ends."""
    permissions: tuple[Permission, ...]
    scope: KeyScope
    shop_ids: tuple[ShopId, ...]
    rate_per_minute: int
    status: KeyStatus
    expires_on: Day | None
    former_secret_until: AwareDatetime | None
    """Until then the secret before the last rotation is good, too; null when it is not."""
    last_used_on: Day | None
    """By UTC; written down with the first request of a day."""
    created_at: AwareDatetime
    created_by: str
    version: int


class IntegrationKeyMade(IntegrationKeyView):
    """An integration key with its secret."""

    key: str | None
    """The key to call with: `Authorization: Bearer rgk_…`. Shown this once: the same command again answers null."""
