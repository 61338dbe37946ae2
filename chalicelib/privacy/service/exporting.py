"""Use case of export: everything that is kept about a member, in one answer; the catalogue says what that is."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import datetime
from typing import Any

from chalicelib.approvals import rules as approvals_rules
from chalicelib.approvals import store as approvals_store
from chalicelib.approvals.models import WAITS_FOR, Approval, ApprovalKind
from chalicelib.audit import service as audit
from chalicelib.audit.models import AuditEntryView, AuditQuery, ChangeView, Who
from chalicelib.cards import store as cards_store
from chalicelib.consents import store as consents_store
from chalicelib.consents.service import title_of
from chalicelib.deliveries.models import KnownOfMember, MessageDelivery, Outcome
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import AccountId, ApprovalId, MemberId, StaffId, is_member
from chalicelib.kernel.languages import Language
from chalicelib.members import service as members
from chalicelib.members import store as members_store
from chalicelib.privacy import store
from chalicelib.privacy.catalogue import NAMES, SEALED, stored_as
from chalicelib.privacy.errors import ExportTooLarge
from chalicelib.privacy.labels import VALUES
from chalicelib.privacy.models import Export, ExportRecord, MaskedField, Unmasking, UnmaskingId
from chalicelib.privacy.service.erasing import Places
from chalicelib.privacy.service.unmasking import id_of
from chalicelib.purchases.store import unpacked_lines
from chalicelib.reach import models as reach
from chalicelib.staff import store as staff_store
from chalicelib.storage import keys
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import Table
from chalicelib.storage.words import Words
from chalicelib.storage.writes import Item

Messages = Callable[[MemberId, int], KnownOfMember]

_PAGE = 100
RECORDS_MAX = 5_000
"""About two megabytes; an answer may have six."""


def export_member(
    places: Places,
    member_id: MemberId,
    reason: str,
    *,
    by: str,
    messages: Messages,
    draw: Callable[[], int],
    language: Language,
    now: datetime,
) -> Export:
    """Everything that is kept about a member and whoever was merged into them, once it is written down who asked.

    Args:
        by: who asks.
        messages: gives what the lake knows of messages to a member, at most so many of each.
        draw: gives random whole numbers, for ids.
        language: in which the names of tiers are.

    Raises:
        MemberUnknown: there is no such member.
        ExportTooLarge: it does not fit one answer.
        StorageBusy: the lake does not answer, or the record could not be written; nothing is shown.
    """
    table, keyring, book = places.table, places.keyring, places.book
    view = members.find_member(table, keyring, book, member_id, now=now, language=language)
    owners: tuple[AccountId, ...] = (view.member_id, *view.merged_member_ids)
    found: list[ExportRecord] = list(_suppressed(table, keyring, view.member_id))
    for name, item in store.list_all_about(table, places.ops, owners):
        record = _record(name, item, keyring, owners)
        if record is not None:
            found.append(record)
        if len(found) > RECORDS_MAX:
            raise ExportTooLarge(limit=RECORDS_MAX)

    told = messages(view.member_id, RECORDS_MAX)
    if len(told.messages) == RECORDS_MAX:
        raise ExportTooLarge(limit=RECORDS_MAX)
    found = _with_messages(found, told)

    own = {*owners, *cards_store.list_all_owned(table, owners)}
    asked_for: set[str] = set()
    for each in _with_awaited(table, keyring, own, _audited(table, keyring, own, asked_for, now=now), asked_for, now):
        found.append(each)
        if len(found) > RECORDS_MAX:
            raise ExportTooLarge(limit=RECORDS_MAX)

    chance, at = draw(), from_milliseconds(milliseconds(now))
    export_id = UnmaskingId(id_of(chance))
    shown = Unmasking(
        unmasking_id=export_id, member_id=view.member_id, by=by, fields=tuple(MaskedField), reason=reason, at=at
    )
    words = Words(table, keyring.contacts)
    table.commit([store.add_unmasking(shown, chance & 0xFFFFFFF, words, kind="exported")])
    return Export(export_id=export_id, member=view, records=tuple(found), exported_at=at)


def titles_of(table: Table, export: Export, language: Language) -> dict[str, str]:
    """What members call the purposes of the consents in an export, where a text of one, or this house, says so."""
    said = (each.data["consent"][0] for each in export.records if "consent" in each.data)
    purposes = {*said, *(each.purpose for each in export.member.consents)}
    texts = list(consents_store.list_texts(table)) if purposes else []
    titles = {}
    for purpose in sorted(purposes):
        own = [each for each in texts if each.purpose == purpose]
        known = VALUES["purpose"].get(purpose)
        standing = known[0 if language is Language.ZH else 1] if known else None
        titles[purpose] = title_of(own, language, standing) or purpose
    return titles


MESSAGE = "message to a member, and what became of it"


HELD_OUT = "campaign that left a member out to compare"


def _with_messages(found: Sequence[ExportRecord], told: KnownOfMember) -> list[ExportRecord]:
    """Records with what the lake knows beside them: messages of campaigns, and what was heard of every message."""
    single = {record.data["delivery_id"] for record in found if record.kind == MESSAGE}
    every = [*found, *(_message(each) for each in told.messages if each.delivery_id not in single)]
    with_heard = [
        record.model_copy(update={"data": {**record.data, "heard": [[kind, milliseconds(at)] for kind, at in heard]}})
        if record.kind == MESSAGE and (heard := told.heard.get(record.data["delivery_id"]))
        else record
        for record in every
    ]
    left_out = ({"source_id": campaign_id, "decided_ms": milliseconds(at)} for campaign_id, at in told.held_out)
    return [*with_heard, *(ExportRecord(kind=HELD_OUT, data=data) for data in left_out)]


def _message(told: MessageDelivery) -> ExportRecord:
    """A message of a campaign, or one so old that only the lake has it, as single ones are shown."""
    data = {
        "channel": told.channel, "decided_ms": milliseconds(told.at) if told.at is not None else None,
        "delivery_id": told.delivery_id, "outcome": told.reason or told.outcome, "source": told.source,
        "source_id": told.source_id, "step": told.step, "variant": told.variant,
    }  # fmt: skip
    return ExportRecord(
        kind=MESSAGE, of=told.member_id, data={name: value for name, value in data.items() if value is not None}
    )


AUDITED = "what staff and other systems did"


def _audited(
    table: Table, keyring: Keyring, own: Set[AccountId], asked_for: set[str], *, now: datetime
) -> Iterator[ExportRecord]:
    """What staff and integrations did to a member and their cards: who by name, when, and what of theirs it changed.

    Reasons are words of staff among themselves, and stay out, as does where staff called from.

    Args:
        asked_for: is given the ids of what had to wait for a second person.
    """
    words, names, seen = Words(table, keyring.contacts), dict[str, str](), set[str]()
    for account_id in sorted(own):
        for entry in _entries(table, words, account_id, now):
            if entry.audit_id in seen:
                continue
            seen.add(entry.audit_id)
            if entry.who.subject not in names:
                names[entry.who.subject] = _name_of(table, entry.who)
            asked_for.update(each.of for each in entry.changes if each.item == "approval" and each.of)
            changes = [_shown_change(each) for each in entry.changes if each.of in own]
            by, on = names[entry.who.subject], entry.at.isoformat()
            yield ExportRecord(kind=AUDITED, data={"action": entry.action, "at": on, "by": by, "changes": changes})


def _entries(table: Table, words: Words, account_id: AccountId, now: datetime) -> Iterator[AuditEntryView]:
    after: str | None = None
    query = AuditQuery(member_id=account_id, limit=_PAGE)
    while True:
        part = audit.list_entries(table, words, query, after=after, now=now)
        yield from part.items
        after = part.next_position
        if after is None:
            return


def _name_of(table: Table, who: Who) -> str:
    """Somebody's name where they have a record here; else what they are."""
    item = staff_store.find_item(table, StaffId(who.subject)) if who.subject.startswith("stf_") else None
    return str(item["name"]) if item is not None else who.kind


def _shown_change(change: ChangeView) -> dict[str, Any]:
    found = {"item": change.item, "state": change.state, "before": change.before, "after": change.after}
    return {name: value for name, value in {**found, "changed": list(change.changed)}.items() if value}


AWAITED = "what waits for a second person, or did"


def _with_awaited(
    table: Table,
    keyring: Keyring,
    own: Set[AccountId],
    audited: Iterable[ExportRecord],
    asked_for: Set[str],
    now: datetime,
) -> Iterator[ExportRecord]:
    """What was done, and after it what had to wait for a second person.

    What may wait still was asked for within `WAITS_FOR` and is looked for in the list of all that was; what is older is
    named by what staff did.
    """
    yield from audited
    words = Words(table, keyring.contacts)
    found = {each.approval_id: each for each in _lately_asked(table, words, now)}
    for approval_id in sorted(asked_for - found.keys()):
        approval = approvals_store.find_approval(table, words, ApprovalId(approval_id))
        if approval is not None:
            found[approval.approval_id] = approval
    for approval in sorted(found.values(), key=lambda each: each.asked_at):
        owner = _subject_of(table, approval.about)
        if owner in own:
            yield ExportRecord(kind=AWAITED, of=owner, data=_asked(approval, now))


def _lately_asked(table: Table, words: Words, now: datetime) -> Iterator[Approval]:
    """What was asked for so lately that it may wait still, newest first."""
    after: str | None = None
    while True:
        part, after = approvals_store.list_approvals(table, words, after=after, limit=_PAGE)
        for each in part:
            if each.asked_at + WAITS_FOR < now:
                return
            yield each
        if after is None:
            return


def _subject_of(table: Table, about: str) -> AccountId | None:
    """The account that something was asked for about: by its id, or that of an entry of it."""
    key = keys.entry_of(about) if about.startswith("ent_") else None
    if key is None:
        return AccountId(about)
    item = table.get(key)
    return keys.account_of(item["tl"]) if item is not None and "tl" in item else None


def _asked(approval: Approval, now: datetime) -> dict[str, Any]:
    """What an export tells of it: the note to the member, and none that staff wrote for each other."""
    command = json.loads(approval.command)
    amount = {
        ApprovalKind.ADJUSTMENT: {"points": command.get("points")},
        ApprovalKind.CARD_REFUND: {"amount_minor": approval.amount},
    }.get(approval.kind, {"amount": approval.amount})
    decided = milliseconds(approval.decided_at) if approval.decided_at is not None else None
    data = {
        "asked_for": approval.kind.value, "status": approvals_rules.status_of(approval, now).value,
        "asked_ms": milliseconds(approval.asked_at), "settled_ms": decided,
        "lapses_ms": milliseconds(approval.asked_at + WAITS_FOR) if decided is None else None,
        "reason_code": command.get("reason_code"), "note_to_member": command.get("note_to_member"), **amount,
    }  # fmt: skip
    return {name: value for name, value in data.items() if value is not None}


def _suppressed(table: Table, keyring: Keyring, member_id: MemberId) -> Iterator[ExportRecord]:
    """That addresses of a member are not written to, or were not for a time, and why."""
    profile, _ = members.find_profile(table, keyring, member_id)
    places = {
        key: channel
        for channel in reach.KINDS
        for key in members_store.suppressions_of(keyring, channel, profile.address(channel))
    }
    told: set[str] = set()
    for key, item in table.get_many(list(places), consistent=True).items():
        record = _record("core", item, keyring, (member_id,))
        if record is not None and places[key] not in told:  # it stands twice while the index key is being replaced
            told.add(places[key])
            yield record.model_copy(update={"of": member_id})


def _record(table: str, item: Item, keyring: Keyring, owners: Sequence[AccountId]) -> ExportRecord | None:
    """What an export shows of an item: what the catalogue says that it does, under names that people understand."""
    kind = stored_as(table, item["pk"], item["sk"])
    if kind is None:
        return None
    wanted = {name for name, datum in kind.attributes.items() if datum.exported and name in item}
    shown = ((name, _parts(item[name], kind.attributes[name].parts)) for name in sorted(wanted - {"contact"}))
    data = {NAMES.get(name, name): _plain(name, value) for name, value in shown}
    data |= _named(item)
    if "contact" in wanted:
        contact = keyring.contacts.open(item["member_id"], item["contact"])
        data |= {name: contact[name] for name in SEALED if contact.get(name)}
    return ExportRecord(kind=kind.name, of=_whose(table, item, owners), data=data) if data else None


def _parts(value: Any, wanted: Set[str] | None) -> Any:
    """Those fields of a value that an export has; all where the catalogue names none."""
    if wanted is None or not isinstance(value, Mapping):
        return value
    return {
        name: each if name in wanted else _parts(each, inner)
        for name, each in value.items()
        if (inner := {one.removeprefix(f"{name}.") for one in wanted if one.startswith(f"{name}.")}) or name in wanted
    }


KEYED = frozenset({"delivery_id", "journey_id", "happened_ms", "channel", "order_no", "return_key"})
"""What an export has that only the key of an item says."""


def _named(item: Item) -> dict[str, Any]:
    """What only the key says: of a message, a way through a journey, something that happened, a purchase or a return.

    Of what happened that is when; of a purchase its number where it was bought, and of a return the till's key.
    """
    mark, *rest = keys.parted(item["pk"])
    if mark == "DLV":
        return {"delivery_id": item["sk"]}
    if mark == "JIN":
        return {"journey_id": keys.parted(item["sk"])[1]}
    if mark == "H":
        return {"happened_ms": keys.moment_parts(item["at"])[0]}
    if mark == "O":
        own = keys.parted(item["sk"])
        back = {"return_key": own[1]} if own[0] == "RF" else {}
        return {"channel": rest[0], "order_no": rest[1], **back}
    return {}


def _whose(table: str, item: Item, owners: Sequence[AccountId]) -> AccountId | None:
    """The account that an item is of: the member's, one of a card or a pool of theirs; nobody else's."""
    letter, *parts = keys.parted(item["pk"])
    if letter in ("JIN", "JEV", "DLV"):
        return MemberId("mem_" + parts[0].removeprefix("mem_"))
    for place in (item.get("tl"), item["pk"]):
        if table == "core" and place and re.fullmatch(r"[MGC]#[^#]+", place):
            found = keys.account_of(place)
            return found if found in owners or not is_member(found) else None
    return keys.happened_to(item["pk"]) if letter == "H" else None


def _plain(name: str, value: Any) -> Any:
    if name == "ln":
        return [line.model_dump(mode="json", exclude_none=True) for line in unpacked_lines(value)]
    if name == "out":
        became = Outcome(value)
        return became.reason or became.kind
    if name == "rs":
        return {NAMES.get(each, each): _plain(each, inner) for each, inner in value.items()}
    return value.hex() if isinstance(value, bytes) else value
