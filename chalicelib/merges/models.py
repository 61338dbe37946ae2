"""Merges: the command, what it did beside the ledger, and what callers see of it."""

from pydantic import AwareDatetime, SerializationInfo, field_serializer

from chalicelib.kernel.ids import MemberId, MergeId
from chalicelib.kernel.personal import is_masked
from chalicelib.kernel.records import Note, Record
from chalicelib.members.models import Consent
from chalicelib.purchases.models import TierName
from chalicelib.tiers.models import Anchor
from chalicelib.trail.rules import masked as words_masked


class MergeMembers(Record):
    """Make one member of two memberships of the same person."""

    from_member_id: MemberId
    """Who goes: its id answers with the other from then on."""
    into_member_id: MemberId
    """Who stays."""
    reason: Note
    dry_run: bool = False


class UndoMerge(Record):
    """Make two members again of those who were merged."""

    reason: Note
    dry_run: bool = False


class Brought(Record):
    """What the profile of the member who stays got from the one who goes: what an undoing takes out again."""

    fields: tuple[str, ...] = ()
    """Fields that were empty."""
    tags: tuple[str, ...] = ()
    custom: tuple[str, ...] = ()
    """Names of custom fields that were empty."""
    consents: tuple[str, ...] = ()
    """What consents are about (`Consent.about`) of which the other's counts."""
    consents_before: tuple[Consent, ...] = ()
    """Consents that those took the place of."""


class Undone(Record):
    """The undoing of a merge."""

    at: AwareDatetime
    reason: str
    points_moved: int
    points_expired: int
    """Points that had expired by then, of both; below nought, points that expired while the two were one."""
    identifiers: tuple[str, ...]
    """Kinds of the identifiers that went back."""
    from_balance: int
    into_balance: int
    from_tier: str
    into_tier: str
    """The tiers that both hold after it."""
    program_version: int


class Merge(Record):
    """A merge as it is kept, beside its two entries."""

    key: str
    from_member_id: MemberId
    into_member_id: MemberId
    reason: str
    at: AwareDatetime
    until: AwareDatetime
    """Until then it can be undone."""
    points_moved: int
    points_regained: int
    from_anchor: Anchor | None = None
    into_anchor: Anchor | None = None
    """The members' anchors just before."""
    brought: Brought
    identifiers: tuple[str, ...]
    """Kinds of the identifiers that were moved."""
    balance_after: int
    from_tier: str
    into_tier: str
    """The tiers that both held before it."""
    tier_after: str
    program_version: int
    undone: Undone | None = None


class Tiers(Record):
    """The tiers of two members."""

    from_member: TierName
    into_member: TierName


class UndoView(Record):
    """The undoing of a merge, as callers see it."""

    merge_id: MergeId
    from_member_id: MemberId
    into_member_id: MemberId
    undone_at: AwareDatetime
    reason: str
    """As it was typed, without addresses and longer numbers."""
    points_moved: int
    """Points that went back; below nought, a debt that did."""
    points_expired: int
    """Points of either that expired before this, now that the two are told apart."""
    from_balance: int
    into_balance: int
    """Below nought where what went back had been spent."""
    identifiers_moved: tuple[str, ...]
    """Kinds of the identifiers that went back."""
    tiers: Tiers
    """The tiers that both hold now."""

    @field_serializer("reason")
    def _shown(self, reason: str, info: SerializationInfo) -> str:
        return words_masked(reason) if is_masked(info) else reason


class MergeView(Record):
    """A merge, as callers see it."""

    merge_id: MergeId
    from_member_id: MemberId
    into_member_id: MemberId
    reason: str
    """As it was typed, without addresses and longer numbers."""
    merged_at: AwareDatetime
    can_be_undone_until: AwareDatetime
    points_moved: int
    """Points that the one brought; below nought, a debt."""
    points_regained: int
    """Points that had expired with one of them, and would not have, had both been one: they pay for what the other
    spent."""
    balance_after: int
    identifiers_moved: tuple[str, ...]
    """Kinds of the identifiers that find the member who stays from now on."""
    fields_filled: tuple[str, ...]
    """Fields of the profile that were empty and came from the other."""
    tiers_before: Tiers
    tier_after: TierName
    undone: UndoView | None = None
    """The undoing; the answer of the merge itself never has it."""

    @field_serializer("reason")
    def _shown(self, reason: str, info: SerializationInfo) -> str:
        return words_masked(reason) if is_masked(info) else reason
