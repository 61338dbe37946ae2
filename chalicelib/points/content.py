"""What the chain of hashes covers of an entry (docs/canonical-form.md). Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from chalicelib.kernel.calendar import Month, from_milliseconds, milliseconds
from chalicelib.points.models import Entry, Lifetime, Sums, WriteOff
from chalicelib.tiers.models import Anchor


def content_of(entry: Entry) -> dict[str, Any]:
    """An entry's content for the hash chain (docs/canonical-form.md). Fields that are not set are left out."""
    content: dict[str, Any] = {
        "key": [entry.key.kind, *entry.key.parts],
        "member_id": str(entry.member_id),
        "seq": entry.seq,
        "reason": entry.reason.value,
        "points": entry.points,
        "balance_after": entry.balance_after,
        "occurred_at": milliseconds(entry.occurred_at),
        "occurred_on": entry.occurred_on.isoformat(),
        "recorded_at": milliseconds(entry.recorded_at),
        "program_version": entry.program_version,
    }
    optional: dict[str, Any] = {
        "earned": entry.earned,
        "expires_on": entry.expires_on.isoformat() if entry.expires_on else None,
        "consumed": entry.consumed,
        "period": entry.period.isoformat() if entry.period else None,
        "qualifying": entry.qualifying,
        "lapsed": entry.lapsed,
        "matures_on": entry.matures_on.isoformat() if entry.matures_on else None,
        "held": entry.held,
        "held_until": milliseconds(entry.held_until) if entry.held_until else None,
        "sums": sums_content(entry.sums) if entry.sums else None,
        "actor": str(entry.actor) if entry.actor else None,
        "anchor": anchor_content(entry.anchor) if entry.anchor else None,
        "tier_before": entry.tier_before,
        "tier_after": entry.tier_after,
        "why": [[why.rule_id, why.points, *why.args] for why in entry.why] or None,
        "reason_code": entry.reason_code,
        "cause": [entry.cause.kind, *entry.cause.parts] if entry.cause else None,
        "content": entry.content.hex() if entry.content else None,
    }
    content.update((name, value) for name, value in optional.items() if value is not None)
    return content


def sums_content(sums: Sums) -> dict[str, Any]:
    """What an entry adds to sums, for the hash chain and for the table. What is nought or empty is left out."""
    life = sums.lifetime
    content: dict[str, Any] = {
        "lifetime": [life.earned, life.spent, life.expired, life.taken],
        "earned": _pairs(sums.earned),
        "spent": _pairs(sums.spent),
        "pending": _pairs(sums.pending),
        "qualifying": [[int(month), points] for month, points in sorted(sums.qualifying.items())],
        "folded": [sums.carried, sums.lapsed] if sums.carried or sums.lapsed else [],
        "through": sums.through.isoformat() if sums.through else "",
        "written_off": write_offs_content(sums.written_off),
    }
    return {name: value for name, value in content.items() if value}


def sums_from(content: Mapping[str, Any]) -> Sums:
    """The sums that `sums_content` was given."""
    carried, lapsed = content.get("folded", (0, 0))
    return Sums(
        lifetime=Lifetime(**dict(zip(("earned", "spent", "expired", "taken"), content["lifetime"], strict=True))),
        earned=_from_pairs(content.get("earned", ())),
        spent=_from_pairs(content.get("spent", ())),
        pending=_from_pairs(content.get("pending", ())),
        qualifying={Month(month): points for month, points in content.get("qualifying", ())},
        carried=carried,
        lapsed=lapsed,
        through=date.fromisoformat(content["through"]) if "through" in content else None,
        written_off=write_offs_from(content.get("written_off", ())),
    )


def write_offs_content(written_off: Mapping[WriteOff, int]) -> list[list[Any]]:
    """Write-offs, for the hash chain and for the table."""
    return [[milliseconds(at), day.isoformat(), points] for (at, day), points in sorted(written_off.items())]


def write_offs_from(rows: Iterable[Sequence[Any]]) -> dict[WriteOff, int]:
    """The write-offs that `write_offs_content` was given."""
    return {WriteOff(from_milliseconds(int(at)), date.fromisoformat(day)): int(points) for at, day, points in rows}


def anchor_content(anchor: Anchor) -> list[Any]:
    """An anchor, for the hash chain and for the table."""
    return [int(anchor.month), anchor.tier_id, *([int(anchor.review_after)] if anchor.review_after is not None else [])]


def _pairs(sums: Mapping[date, int]) -> list[list[Any]]:
    return [[day.isoformat(), points] for day, points in sorted(sums.items())]


def _from_pairs(pairs: Iterable[Sequence[Any]]) -> dict[date, int]:
    return {date.fromisoformat(day): points for day, points in pairs}
