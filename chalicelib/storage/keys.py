"""THE key schema: every key of every item is made here, and nowhere else.

Table `core`
    pk, sk   the item
    tl, at   index `timeline`: what belongs to a member, in order
    due, pk  index `due`: what time alone will change (sharded; absent when nothing will)

Table `vault`: keys of members, and keys of the tenant that wrap them.

Table `ops`, for what is not the system of record: progress of jobs; items go after their `expires`.

Parts are escaped before they are joined by `#`, so that no two lists of parts make the same key.
"""

import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime

from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import (
    AccountId,
    AlertId,
    AuditId,
    EntryId,
    HoldId,
    MemberId,
    MergeId,
    PurchaseId,
    SuppressionId,
    TransferId,
    packed,
    unpacked,
)

DUE_SHARDS = 8
OTP_SHARDS = 4


@dataclass(frozen=True, slots=True)
class Key:
    """The primary key of an item of table `core`."""

    pk: str
    sk: str


def joined(*parts: str) -> str:
    """Parts in one string, escaped so that no two lists of parts give the same one."""
    return "#".join(part.replace("%", "%25").replace("#", "%23") for part in parts)


def parted(key: str) -> tuple[str, ...]:
    """The parts that `joined` was given."""
    parts = key.split("#")
    return tuple(part.replace("%23", "#").replace("%25", "%") for part in parts) if "%" in key else tuple(parts)


# ---------------------------------------------------------------- members


CARDS = "C"
"""The mark of partitions of cards."""

POOLS = "G"
"""The mark of partitions of pools."""

_MARKS = {"mem": "M", "pol": POOLS, "crd": CARDS}
"""How the partition of an account begins, by what its id begins with."""

_PREFIXES = {mark: prefix for prefix, mark in _MARKS.items()}


def member_partition(account_id: str) -> str:
    """The partition of a member's own items, profile and account; or of what has an account beside members."""
    prefix, _, own = account_id.partition("_")
    return joined(_MARKS[prefix], own)


def profile(member_id: str) -> Key:
    """Who a member is."""
    return Key(member_partition(member_id), "PROFILE")


def account(member_id: str) -> Key:
    """What a member has."""
    return Key(member_partition(member_id), "ACCOUNT")


def unique(kind: str, blind: str) -> Key:
    """Holds an identifier for one member: mobile, email, card or an external id, as a blind index."""
    return Key(joined("U", kind, blind), "U")


def pool(pool_id: str) -> Key:
    """What members share, and who owns it."""
    return Key(member_partition(pool_id), "POOL")


def pool_member(pool_id: str, member_id: str) -> Key:
    """A member's part in a pool."""
    return Key(member_partition(pool_id), joined("W", member_id))


def share(member_id: str, pool_id: str) -> Key:
    """Tells that a member belongs to a pool; stands behind the profile, so that reading a member passes it over."""
    return Key(member_partition(member_id), joined("SHARES", pool_id))


def former_share(member_id: str, pool_id: str) -> Key:
    """Tells that a member belonged to a pool and left it; stands behind the profile too."""
    return Key(member_partition(member_id), joined("WAS", pool_id))


def wallet(member_id: str) -> Key:
    """Counts the cards of a member; stands behind the profile too."""
    return Key(member_partition(member_id), "WALLET")


# ---------------------------------------------------------------- the ledger


def purchase(channel: str, order_no: str) -> Key:
    """A purchase, which is its ledger entry and its idempotency key."""
    return Key(joined("O", channel, order_no), "O")


def purchase_return(channel: str, order_no: str, key: str) -> Key:
    """A return of part of a purchase: in the purchase's own partition, so that one query reads both."""
    return Key(purchase(channel, order_no).pk, joined("RF", key))


def restatement(channel: str, order_no: str, number: str) -> Key:
    """A restatement of a purchase, beside its returns."""
    return Key(purchase(channel, order_no).pk, joined("RS", number))


def delivery(channel: str, order_no: str) -> Key:
    """The delivery of a purchase: there is one."""
    return Key(purchase(channel, order_no).pk, "DL")


def card_owner(card_id: str) -> Key:
    """Whose a card is: the one place that says so."""
    return Key(member_partition(card_id), "OWNER")


def cards_of(member_id: str) -> str:
    """Timeline partition of a member's cards."""
    return joined("W", member_id)


def card_top_up(card_id: str, key: str) -> Key:
    """A top-up of a card: in the card's own partition, so that a refund reads all of them, and as they are."""
    return Key(member_partition(card_id), joined("TU", key))


def entry(kind: str, *parts: str) -> Key:
    """Any ledger entry, by its business key."""
    if kind == "purchase":
        return purchase(*parts)
    if kind == "top_up":
        return card_top_up(*parts)
    if kind == "return":
        return purchase_return(*parts)
    if kind == "delivery":
        return delivery(*parts)
    return restatement(*parts) if kind == "restatement" else Key(joined("K", kind, *parts), "O")


def entry_parts(key: Key) -> tuple[str, tuple[str, ...]]:
    """The kind and business key of the ledger entry under a key."""
    mark, *rest = parted(key.pk)
    if mark == "C":
        return "top_up", (account_of(key.pk), parted(key.sk)[1])
    if mark != "O":
        return rest[0], tuple(rest[1:])
    own = parted(key.sk)
    kind = {"O": "purchase", "RF": "return", "RS": "restatement", "DL": "delivery"}[own[0]]
    return kind, (*rest, *own[1:])


def entry_id(key: Key) -> EntryId:
    """The id of the ledger entry under a key."""
    return EntryId(_packed_key(key))


def _packed_key(key: Key) -> str:
    return "ent_" + packed(key.pk if key.sk == "O" else joined("R", key.pk, key.sk))


def purchase_id(channel: str, order_no: str) -> PurchaseId:
    """The id of a purchase: its channel and order number, packed."""
    return PurchaseId("pur_" + packed(joined(channel, order_no)))


def purchase_entry_id(purchase_id: str) -> EntryId | None:
    """The id of the ledger entry that a purchase is, or None when no purchase can have that id."""
    key = purchase_of(purchase_id)
    return entry_id(key) if key is not None else None


def purchase_of(purchase_id: str) -> Key | None:
    """The key of the purchase of that id, or None when no purchase can have it."""
    order = order_of(purchase_id)
    return purchase(*order) if order else None


def order_of(purchase_id: str) -> tuple[str, str] | None:
    """The channel and order number that an id was made of, or None when it was made of none."""
    plain = unpacked(purchase_id.removeprefix("pur_"))
    parts = parted(plain) if plain else ()
    if len(parts) != 2 or joined(*parts) != plain:
        return None
    return parts[0], parts[1]


def entry_of(entry_id_: str) -> Key | None:
    """The key of the ledger entry of that id, or None when no entry can have it."""
    plain = unpacked(entry_id_.removeprefix("ent_")) or ""
    parts = parted(plain)
    key = Key(parts[1], parts[2]) if len(parts) == 3 and parts[0] == "R" else Key(plain, "O")
    mark, *rest = parted(key.pk)
    own, *more = parted(key.sk)
    known = {
        "K": own == "O" and not more and len(rest) > 1,
        "O": len(rest) == 2 and (own, len(more)) in (("O", 0), ("DL", 0), ("RF", 1), ("RS", 1)),
        "C": len(rest) == 1 and (own, len(more)) == ("TU", 1),
    }
    if not known.get(mark, False):
        return None
    # Only the one spelling that `entry_id` gives: another would name the same entry by a second id.
    kind, business = entry_parts(key)
    return key if entry(kind, *business) == key and entry_id(key) == entry_id_ else None


def merge(key: str) -> Key:
    """What a merge of two members did beside the ledger, by the command's key."""
    return Key(joined("MERGE", key), "MERGE")


def merge_id(key: str) -> MergeId:
    """The id of a merge: the command's key, packed."""
    return MergeId("mrg_" + packed(key))


def merge_key(merge_id: str) -> str | None:
    """The key of the command that made the merge of that id, or None when no merge can have it."""
    return unpacked(merge_id.removeprefix("mrg_"))


def hold_id(key: str) -> HoldId:
    """The id of the hold that was made with a key: the key, packed."""
    return HoldId("hld_" + packed(key))


def hold_key(hold_id: str) -> str | None:
    """The key that the hold of an id was made with, or None when no hold can have it."""
    return unpacked(hold_id.removeprefix("hld_"))


def transfer_id(key: str) -> TransferId:
    """The id of the transfer that was offered with a key: the key, packed."""
    return TransferId("trf_" + packed(key))


def transfer_key(transfer_id: str) -> str | None:
    """The key that the transfer of an id was offered with, or None when no transfer can have it."""
    return unpacked(transfer_id.removeprefix("trf_"))


def transfer_row(key: str, side: str) -> Key:
    """What lists a transfer for the member on one side of it, `giver` or `receiver`."""
    return Key(joined("X", key), side)


# ---------------------------------------------------------------- integration keys

INTEGRATION_KEYS = joined("IKS")
"""Timeline partition of all integration keys."""


def integration_key(key_id: str) -> Key:
    """What an integration key may do."""
    return Key(joined("IK", key_id), "KEY")


def integration_key_use(key_id: str) -> Key:
    """On which day an integration key was used last; beside the key, so that one query reads both."""
    return Key(integration_key(key_id).pk, "USED")


# ---------------------------------------------------------------- personal data


def consent_change(member_id: str, version: int, place: int) -> Key:
    """What was said of a consent, by the version of the profile that it made."""
    return Key(consent_changes(member_id), f"{version:07d}#{place:02d}")


def consent_changes(member_id: str) -> str:
    """Partition, also of the timeline, of all that was said of a member's consents."""
    return joined("CONSENT", member_id.removeprefix("mem_"))


def unmasking(day: date, unmasking_id: str) -> Key:
    """The record of a showing of personal data, by the day (UTC) on which it was."""
    return Key(joined("UM", day.isoformat()), unmasking_id)


def unmaskings(member_id: str) -> str:
    """Timeline partition of the showings of a member's personal data."""
    return joined("UM", member_id)


# ---------------------------------------------------------------- the program

PROGRAM_HEAD = Key("PROGRAM", "HEAD")


def program_version(version: int) -> Key:
    """A version of the program."""
    return Key("PROGRAM", f"V#{version:06d}")


# ---------------------------------------------------------------- staff, roles, approvals

STAFF = "STF"
"""Timeline partition of all staff."""

ADMINS = Key("ADMINS", "ADMINS")
"""Who the active admins are: there is always one, once there was one."""

ROLES = "ROLES"
"""Partition of the custom roles."""

CONSENT_TEXTS = "CT"
"""Timeline partition of texts of consents."""


def consent_text(purpose: str, channel: str | None, text_version: str) -> Key:
    """A text that members were asked to consent to."""
    return Key(joined("CT", purpose), joined(channel or "all", text_version))


APPROVALS = "APR"
"""Timeline partition of what was asked of a second person."""


def staff(staff_id: str) -> Key:
    """Somebody who works here."""
    return Key(joined("STF", staff_id), "STF")


def role(name: str) -> Key:
    """A custom role."""
    return Key(ROLES, name)


def approval(approval_id: str) -> Key:
    """What somebody asked a second person to approve."""
    return Key(joined("APR", approval_id), "APR")


def allowance(subject: str, account_id: str) -> Key:
    """What somebody did alone of late that has a limit, to one account."""
    return Key(joined("ALW", subject, account_id), "ALW")


def allowance_of_all(subject: str) -> Key:
    """What somebody gave alone of late that has a limit, to all accounts."""
    return Key(joined("ALW", subject), "ALW")


def segment_uses(segment_id: str) -> str:
    """Partition of what is at work with a segment."""
    return joined("SGU", segment_id)


def segment_use(segment_id: str, user_id: str) -> Key:
    """That a campaign or a journey that is at work uses a segment."""
    return Key(segment_uses(segment_id), joined("USE", user_id))


TEMPLATES = "TPL"
"""Timeline partition of all templates."""


def template(template_id: str) -> Key:
    """A template: which version is in force."""
    return Key(joined("TPL", template_id), "HEAD")


def template_version(template_id: str, version: int) -> Key:
    """What a version of a template says."""
    return Key(template(template_id).pk, f"V#{version:06d}")


SUPPRESSIONS = "SUP"
"""Timeline partition of all addresses that are not written to."""


def suppression(channel: str, blind: str) -> Key:
    """That an address is not written to by a channel."""
    return Key(joined("SUP", channel, blind), "SUP")


def suppression_id(key: Key) -> SuppressionId:
    """The id of the suppression under a key."""
    return SuppressionId("sup_" + packed(key.pk))


def suppression_of(suppression_id_: str) -> Key | None:
    """The key of the suppression of that id, or None when none can have it."""
    plain = unpacked(suppression_id_.removeprefix("sup_")) or ""
    parts = parted(plain)
    return Key(plain, "SUP") if len(parts) == 3 and parts[0] == "SUP" and joined(*parts) == plain else None


def reach_changes(day: date) -> str:
    """Partition of the log of a day (UTC) of who may be written to otherwise than before."""
    return joined("RCH", day.isoformat())


def reach_change(at: datetime, member_id: str) -> Key:
    """A line of that log: whether, or where, a member may be written to changed at an instant."""
    return Key(reach_changes(at.astimezone(UTC).date()), joined(moment(at, 0), member_id))


def reach_change_of(sk: str) -> tuple[datetime, MemberId]:
    """When and of whom a line of that log is."""
    at, member_id = parted(sk)
    return from_milliseconds(moment_parts(at)[0]), MemberId(member_id)


def listed_moment(at: datetime, name: str) -> str:
    """Sort key of something in a list by time: two of the same millisecond differ."""
    return moment(at, zlib.crc32(name.encode()) & 0xFFFFFFF)


# ---------------------------------------------------------------- deliveries


def run(run_id: str) -> Key:
    """What a worker has to know of a run of a campaign."""
    return Key(joined("CRUN", run_id), "RUN")


# ---------------------------------------------------------------- indexes

TIMELINE = "timeline"
DUE = "due"


def statement(account_id: str) -> str:
    """Timeline partition of an account's ledger entries."""
    return member_partition(account_id)


def account_of(partition: str) -> AccountId:
    """Whose account an item's partition, or the timeline partition of a statement, is."""
    mark, own = parted(partition)
    return AccountId(f"{_PREFIXES[mark]}_{own}")


def happenings(account_id: str) -> str:
    """Timeline partition of what happened to a member, or a pool or card, and moved no points."""
    prefix, _, own = account_id.partition("_")
    return joined("H", own if prefix == "mem" else account_id)


def happened_to(partition: str) -> AccountId:
    """To whom the things of a timeline partition happened."""
    own = parted(partition)[1]
    return AccountId(own if "_" in own else f"mem_{own}")


def transfers(account_id: str) -> str:
    """Timeline partition of a member's transfers, those sent and those received."""
    return joined("X", account_id)


def transfer_moment(offered_at: datetime, key: str) -> str:
    """Sort key of a transfer in its members' lists: two that were offered in the same millisecond differ."""
    return moment(offered_at, zlib.crc32(key.encode()) & 0xFFFFFFF)


def directory(account_id: str) -> str:
    """Timeline partition that lists every member, pool and card, so that all of them can be walked without a scan."""
    return joined("DIR", str(shard_of(account_id)))


def directories() -> tuple[str, ...]:
    """All partitions of the directory."""
    return tuple(joined("DIR", str(shard)) for shard in range(DUE_SHARDS))


def moment(recorded_at: datetime, number: int) -> str:
    """Sort key of the timeline: 11 hexadecimal digits of milliseconds, 7 of `seq` or version.

    Compact, because 25 rows must fit one read unit; it sorts as the instants do until the year 2527.
    """
    return f"{milliseconds(recorded_at):011x}{number:07x}"


def moment_parts(at: str) -> tuple[int, int]:
    """Milliseconds and number of a timeline sort key."""
    return int(at[:11], 16), int(at[11:], 16)


def shard_of(member_id: str) -> int:
    """The shard of the due index that a member belongs to."""
    return zlib.crc32(member_id.encode()) % DUE_SHARDS


def due(day: date, member_id: str) -> str:
    """Due partition of what a day brings to an account."""
    return joined("DUE", day.isoformat(), str(shard_of(member_id)))


def due_partitions(day: date) -> tuple[str, ...]:
    """All partitions of what a day brings to accounts."""
    return tuple(joined("DUE", day.isoformat(), str(shard)) for shard in range(DUE_SHARDS))


def birthday(month_day: str, member_id: str) -> str:
    """Due partition of the members born on a day of the year, `MM-DD`."""
    return joined("BDAY", month_day, str(shard_of(member_id)))


def birthday_partitions(month_day: str) -> tuple[str, ...]:
    """All partitions of the members born on a day of the year, `MM-DD`."""
    return tuple(joined("BDAY", month_day, str(shard)) for shard in range(DUE_SHARDS))


def member_of(pk: str) -> MemberId:
    """The member whose own items a partition holds."""
    return MemberId(account_of(pk))


# ---------------------------------------------------------------- the audit trail and alerts

AUDIT_SHARDS = 16


def audit_partition(day: date, shard: int) -> str:
    """Partition of a day's audit records (UTC) of a shard, and of the links that chain them."""
    return joined("A", day.isoformat(), f"{shard:02d}")


def audit_place(pk: str) -> tuple[date, int]:
    """Day and shard of a partition of audit records."""
    _, day, shard = parted(pk)
    return date.fromisoformat(day), int(shard)


def audit_mark(at: datetime, chance: int) -> str:
    """What orders audit records and names them: 11 hexadecimal digits of milliseconds, 16 of chance."""
    return f"{milliseconds(at):011x}{chance:016x}"


def audit_record(mark: str) -> Key:
    """An audit record, by what names it: its day and its shard follow from that."""
    day = from_milliseconds(int(mark[:11], 16)).astimezone(UTC).date()
    return Key(audit_partition(day, int(mark[11:], 16) % AUDIT_SHARDS), joined("R", mark))


def audit_id(mark: str) -> AuditId:
    """The id of an audit record."""
    return AuditId(f"aud_{mark}")


def audit_link(pk: str, number: int) -> Key:
    """A link of the chain over a partition's records."""
    return Key(pk, joined("L", f"{number:06d}"))


def audited(account_id: str) -> str:
    """Timeline partition of the audit records about a member, pool or card."""
    return joined("AM", account_id)


def audit_mention(mark: str, account_id: str) -> Key:
    """Lists an audit record for a further account that it is about."""
    return Key(audit_record(mark).pk, joined("M", mark, account_id))


def audit_trace(subject: str, mark: str) -> Key:
    """Lists an audit record for who did it, and says which link holds it."""
    return Key(audit_traces(subject), mark)


def audit_traces(subject: str) -> str:
    """Partition of what somebody did."""
    return joined("AS", subject)


def adjusted_by(subject: str) -> Key:
    """How many points somebody gave by hand on a day: that of the last adjustment."""
    return Key(joined("AJ", subject), "AJ")


def alert(kind: str, about: str, day: date, number: int = 1) -> Key:
    """An alert: there is one a day of each kind about each, or several where each counts on from the one before."""
    more = (str(number),) if number > 1 else ()
    return Key(joined("AL", kind, about, day.isoformat(), *more), "AL")


def alert_id(key: Key) -> AlertId:
    """The id of the alert under a key."""
    return AlertId("alr_" + packed(key.pk))


def alert_of(alert_id_: str) -> Key | None:
    """The key of the alert of that id, or None when none can have it."""
    plain = unpacked(alert_id_.removeprefix("alr_")) or ""
    parts = parted(plain)
    return Key(plain, "AL") if len(parts) in (4, 5) and parts[0] == "AL" and joined(*parts) == plain else None


def alerts(state: str) -> str:
    """Timeline partition of the alerts in a state."""
    return joined("AL", state)


def alert_moment(raised_at: datetime, pk: str) -> str:
    """Sort key of an alert in their list: two of one millisecond differ."""
    return moment(raised_at, zlib.crc32(pk.encode()) & 0xFFFFFFF)


# ---------------------------------------------------------------- campaigns

CAMPAIGNS = "CMP"
"""Timeline partition of all campaigns."""

CAMPAIGNS_AT_WORK = "CMP-WORK"
"""Due partition of the campaigns that were launched and are not over."""


def campaign(campaign_id: str) -> Key:
    """What a campaign does, and how far it is."""
    return Key(joined("CMP", campaign_id), "CMP")


def campaign_asked(campaign_id: str, key: str) -> Key:
    """That staff had a campaign's message tested, by the command's key."""
    return Key(campaign(campaign_id).pk, joined("ASK", key))


def campaign_of(pk: str) -> str:
    """Whose campaign's item a partition holds."""
    return parted(pk)[1]


def campaign_runs(campaign_id: str) -> str:
    """Timeline partition of a campaign's runs."""
    return joined("CRUN", campaign_id)


# ---------------------------------------------------------------- journeys

JOURNEYS = "JRN"
"""Timeline partition of all journeys."""

JOURNEY_BOARD = Key("JRNS", "BOARD")
"""Which journeys do something, and what each of them waits for."""

JOURNEY_SHARDS = 4
JOURNEY_COUNTERS = 8


def journey(journey_id: str) -> Key:
    """A journey: what it does just now, and which version of it is in force."""
    return Key(joined("JRN", journey_id), "HEAD")


def journey_edition(journey_id: str, edition: int) -> Key:
    """What a version of a journey says."""
    return Key(journey(journey_id).pk, f"V#{edition:06d}")


def journey_asked(journey_id: str, key: str) -> Key:
    """That staff asked to let some into a journey, by the command's key."""
    return Key(journey(journey_id).pk, joined("ASK", key))


def journeys_of(member_id: str) -> str:
    """Partition of a member's ways through journeys."""
    return joined("JIN", member_id.removeprefix("mem_"))


def journey_instance(member_id: str, journey_id: str, entry: str) -> Key:
    """A member's way through a journey; with the others of the member, so that one query reads all, and as they are."""
    return Key(journeys_of(member_id), joined("I", journey_id, entry))


def journey_instance_of(key: Key) -> tuple[MemberId, str, str]:
    """Member, journey and entry that such a key names."""
    _, journey_id, entry = parted(key.sk)
    return MemberId("mem_" + parted(key.pk)[1]), journey_id, entry


def journey_gate(member_id: str, journey_id: str) -> Key:
    """When a member came into a journey last."""
    return Key(journeys_of(member_id), joined("G", journey_id))


def journey_shard(member_id: str, shards: int = JOURNEY_SHARDS) -> int:
    """Which part of those in journeys a member belongs to."""
    return zlib.crc32(member_id.encode()) % shards


def journey_members(journey_id: str, shard: int, *, left: bool) -> str:
    """Timeline partition of those who are in a journey, or were."""
    return joined("JIN", journey_id, "left" if left else "inside", str(shard))


def journey_due(slot: int, shard: int) -> str:
    """Due partition of those for whom there is something to do by an instant, in milliseconds since 1970."""
    return f"JIN#{slot // 60_000}#{shard}"


def journey_held(journey_id: str, shard: int) -> str:
    """Due partition of those for whom there was something to do while their journey was paused."""
    return joined("JIN", journey_id, "held", str(shard))


def journey_counts(journey_id: str) -> str:
    """Partition of a journey's counters."""
    return joined("JIC", journey_id)


def journey_count(journey_id: str, edition: int, shard: int) -> Key:
    """A counter of those in a version of a journey."""
    return Key(journey_counts(journey_id), f"V{edition:06d}#{shard:02d}")


# ---------------------------------------------------------------- segments

SEGMENT_GRAPH = Key("SEGS", "GRAPH")
"""Which segments there are, and what each depends on."""


def segment(segment_id: str) -> Key:
    """What a segment says."""
    return Key(joined("SEG", segment_id), "SEG")


def segments(state: str) -> str:
    """Timeline partition of the segments in a state."""
    return joined("SEG", state)


def segment_export(export_id: str) -> Key:
    """An export of a segment."""
    return Key(joined("SGX", export_id), "SGX")


# ---------------------------------------------------------------- table `ops`

CAMPAIGN_TURN = Key(joined("CPLAN"), "TURN")
"""Which campaign is being planned: one at a time, so that each plan counts what those before it have planned."""


def campaign_release(run_id: str) -> Key:
    """How many parts of a run were handed to those who send."""
    return Key(joined("CREL", run_id), "CREL")


def campaign_tested(day: date, by: str, member_id: str) -> Key:
    """How often somebody had tests sent to a member on a day."""
    return Key(joined("CTEST", day.isoformat(), by), member_id)


JOURNEY_TICK = Key(joined("JTICK"), "HEAD")
"""Through when those in journeys were handed to those who do their steps."""


def journey_listings(journey_id: str) -> str:
    """Partition of the segments that staff let into a journey."""
    return joined("JLS", journey_id)


def journey_listing(journey_id: str, key: str) -> Key:
    """How far a segment was let into a journey, by the command's key."""
    return Key(journey_listings(journey_id), joined("K", key))


def journey_notes(member_id: str) -> str:
    """Partition of what happened to a member that some journey asks for."""
    return joined("JEV", member_id.removeprefix("mem_"))


def journey_note(member_id: str, at: datetime, event_id: str) -> Key:
    """Something that happened to a member."""
    return Key(journey_notes(member_id), joined(moment(at, 0), event_id))


def segment_state(segment_id: str) -> Key:
    """Who was in a live segment when it was looked at last."""
    return Key(segment_sizes(segment_id), "STATE")


SEGMENT_ROUND = Key("SEGS", "SIZES")
"""When the segments of which nobody is told were counted last."""


def segment_sizes(segment_id: str) -> str:
    """Partition of how large a segment was, day by day."""
    return joined("SGS", segment_id)


def segment_size(segment_id: str, day: date) -> Key:
    """How large a segment was on a day."""
    return Key(segment_sizes(segment_id), joined("D", day.isoformat()))


def velocity(what: str, who: str, day: date) -> Key:
    """What somebody or a shop has come to on a day, as the watch counts it."""
    return Key(joined("V", what, who, day.isoformat()), "V")


def job_head(job: str) -> Key:
    """Through which day a job has been started."""
    return Key(joined("J", job), "HEAD")


def job_runs(job: str) -> str:
    """Partition of a job's runs."""
    return joined("J", job)


def job_run(job: str, day: date, *, dry_run: bool) -> Key:
    """A job's run for a day; a dry run stands beside the real one."""
    return Key(job_runs(job), joined("R", day.isoformat(), "dry" if dry_run else "real"))


def job_attempt(job: str, day: date, attempt: int, *, dry_run: bool) -> str:
    """Partition of what one attempt at a run has counted and done."""
    return joined("J", job, day.isoformat(), "dry" if dry_run else "real", str(attempt))


def job_count(partition: str, shard: int) -> Key:
    """One of the counters of an attempt."""
    return Key(partition, f"C#{shard:02d}")


def job_part(partition: str, part: str) -> Key:
    """Tells that a part of an attempt is done, and what it has handed on."""
    return Key(partition, joined("P", part))


def job_found(partition: str, part: str) -> Key:
    """What a part of an attempt has found for the run's end."""
    return Key(partition, joined("V", part))


LAKE_HEAD = Key("LAKE", "HEAD")
"""What the lake consists of now."""


def line_refusal(token: str) -> Key:
    """What a command that came through the line was refused for, by the request that waits for it."""
    return Key(joined("L", token), "L")


def consumer_turn(consumer: str, member_id: str) -> Key:
    """Which of a member's ledger events a consumer handled last."""
    return Key(joined("T", consumer, member_id.removeprefix("mem_")), "T")


def otp_number(kind: str, blind: str) -> Key:
    """What was tried to sign in by a mobile number or e-mail address."""
    return Key(joined("N", kind, blind), "N")


def otp_request(request_id: str) -> Key:
    """To which number a request for a code belongs."""
    return Key(joined("R", request_id), "R")


def otp_count(what: str, which: str, window: str) -> Key:
    """A counter of codes that were sent: from an address, to a range of numbers, to a country, in a window of time."""
    return Key(joined("C", what, which, window), "C")


def integration_rate(key_id: str, minute: int) -> Key:
    """The counter of what an integration key has sent in a minute of the clock, since 1970."""
    return Key(joined("Q", key_id, str(minute)), "Q")


def otp_pressure(window: str) -> tuple[Key, ...]:
    """The counters, by shard, of how signing in goes in a window of time."""
    return tuple(Key(joined("P", window), f"P#{shard}") for shard in range(OTP_SHARDS))


def channel_pace(channel: str) -> Key:
    """How fast a channel may send, and whether its breaker is closed."""
    return Key(joined("PACE", channel), "PACE")


def provider_ref(provider: str, ref: str) -> Key:
    """Which deliveries a provider's own name of a message stands for."""
    return Key(joined("REF", provider, ref), "REF")


def notice_claim(delivery_id: str) -> Key:
    """Who sends a notice by a provider that would bring it twice; in a partition of its own, as it names no member."""
    return Key(joined("NC", delivery_id), "NC")


def callback(provider: str, which: str) -> Key:
    """Tells that something that a provider told was taken before."""
    return Key(joined("CB", provider, which), "CB")


def channel_money(channel: str, day: date) -> Key:
    """The counter of the money that a channel spent on a day of the program."""
    return Key(joined("SPENT", channel, day.isoformat()), "SPENT")


def notices(member_id: str) -> str:
    """Partition of the notices that a member was sent."""
    return joined("NT", member_id)


def notice(member_id: str, at: datetime, delivery_id: str) -> Key:
    """A notice that a member was sent."""
    return Key(notices(member_id), joined(moment(at, 0), delivery_id))


def sent_part(run_id: str, number: int) -> Key:
    """How far a part of a run is; a partition of its own, because many workers write at once."""
    return Key(joined("SEND", run_id, f"{number:06d}"), "PART")


def sent_count(run_id: str, shard: int) -> Key:
    """A counter of what became of a run's recipients."""
    return Key(joined("SENT", run_id), f"C#{shard:02d}")


def part_fault(run_id: str, number: int) -> Key:
    """Why a part of a run fails."""
    return Key(joined("SENT", run_id), f"F#{number:06d}")


def singles(member_id: str) -> str:
    """Partition of the single messages to a member."""
    return joined("DLV", member_id)


def single(member_id: str, delivery_id: str) -> Key:
    """A single message: who claims it may send it."""
    return Key(singles(member_id), delivery_id)


def receipt(delivery_id: str, kind: str) -> Key:
    """Tells that a receipt of a delivery was counted."""
    return Key(joined("RCP", delivery_id), kind)


def sessions(member_id: str) -> str:
    """Partition of a member's sessions."""
    return joined("S", member_id)


def session(member_id: str, session_id: str) -> Key:
    """A member's session on one device."""
    return Key(sessions(member_id), session_id)


# ---------------------------------------------------------------- table `vault`

TENANT = "TENANT"
"""Partition of the keys of the tenant."""


def tenant_key(number: int) -> Key:
    """A key of the tenant; keys sort by their numbers."""
    return Key(TENANT, f"K#{number:06d}")


def member_key(member_id: str) -> Key:
    """The key that a member's contact data are sealed with."""
    return Key(member_partition(member_id), "KEY")
