"""From the image of a record to rows of the lake. It reads no table, and opens nothing that is sealed.

A row says how something is, with the version that it has then, and never what has changed. So rows may come twice, in
any order and split in any way: of each thing the highest version counts.
"""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from chalicelib.kernel.calendar import NEVER
from chalicelib.lake.models import Row
from chalicelib.members.models import MARKETING_PURPOSE, TOPIC_PREFIX
from chalicelib.points import store as points_store
from chalicelib.points.fold import is_lifelong, last_of_pending
from chalicelib.points.models import Account
from chalicelib.points.rules.balances import derive
from chalicelib.purchases import store as purchases_store
from chalicelib.purchases.models import Returned
from chalicelib.storage import keys
from chalicelib.storage.dynamo import unmarshalled
from chalicelib.storage.keys import Key
from chalicelib.storage.writes import Item

_NOTHING_BACK = Returned.model_construct(count=0, amount_minor=0, refund_minor=0, points_taken_back=0, quantities=())
_A_DAY = timedelta(days=1)


def rows_of(record: Mapping[str, Any]) -> Sequence[Row]:
    """The rows that a record of the stream of table `core` gives; none for what the lake has nothing of.

    Raises:
        KeyError, TypeError, ValueError: it is no such record, or the item is not what its key says.
    """
    image = record["dynamodb"].get("NewImage")
    if image is None or not is_wanted(image["pk"]["S"], image["sk"]["S"], image):
        return ()
    item: Item = {}
    for name in _READ[image["sk"]["S"]] if image["pk"]["S"].startswith("M#") else _READ["O"]:
        typed = image.get(name)
        if typed is not None:
            ((kind, value),) = typed.items()
            item[name] = value if kind == "S" else int(value) if kind == "N" else unmarshalled(typed)
    return rows_of_item(item)


_READ = {
    "PROFILE": (
        "pk", "sk", "member_id", "version", "erased", "contact", "gender", "language", "month_day", "cohort", "shop",
        "region", "source", "tags", "custom", "consents", "ways", "suppressed",
    ),
    "ACCOUNT": (
        "pk", "sk", "version", "into", "status", "opened", "tier", "life", "earned", "spent", "folded", "pending",
        "holds",
    ),
    "O": (
        "pk", "sk", "tl", "at", "r", "p", "b", "o", "on", "e", "sh", "m", "tn", "ln", "rs", "ret", "rn",
    ),
}  # fmt: skip
"""Attributes that rows say anything of; the others are not even read."""


def moment_of(record: Mapping[str, Any]) -> int:
    """When a record was made, in milliseconds; 0 where it does not say."""
    return int(float(record["dynamodb"].get("ApproximateCreationDateTime") or 0) * 1000)


def is_wanted(pk: str, sk: str, names: Mapping[str, Any]) -> bool:
    """Whether the lake has something of an item.

    Args:
        names: the item, typed or plain: it is only looked at which attributes it has.
    """
    if pk.startswith("M#"):
        return sk in ("PROFILE", "ACCOUNT")
    return "r" in names and pk.startswith(("O#", "K#"))


def rows_of_item(item: Item) -> Sequence[Row]:
    """The rows that an item gives that `is_wanted`.

    Raises:
        KeyError, TypeError, ValueError: the item is not what its key says.
    """
    pk, sk = item["pk"], item["sk"]
    if pk.startswith("M#"):
        return ({"member": _member(item)},) if sk == "PROFILE" else ({"account": _account(item)},)
    if not item["tl"].startswith("M#"):
        return ()  # of pools and cards
    owner = str(keys.account_of(item["tl"]))
    entry: Row = {"entry": _entry(item, owner)}
    if sk == "O" and pk.startswith("O#"):
        return ({"purchase": _purchase(item, owner)}, entry)
    return (entry,)


# ---------------------------------------------------------------- people


def _member(item: Item) -> Row:
    if "erased" in item:
        return {"id": item["member_id"], "v": item["version"], "erased": True}
    custom = item.get("custom")
    consents, withdrawn = _consents(item.get("consents", ()))
    return {
        "id": item["member_id"],
        "v": item["version"],
        "sealed": b64encode(item["contact"]).decode(),
        "gender": item.get("gender"),
        "language": item.get("language"),
        "month_day": item.get("month_day"),
        "born": item.get("cohort"),
        "shop_id": item.get("shop"),
        "region": item.get("region"),
        "source": item.get("source"),
        "tags": item.get("tags", ()),
        "custom": json.dumps(custom, ensure_ascii=False, separators=(",", ":"), sort_keys=True) if custom else None,
        "consents": consents,
        "withdrawn": withdrawn,
        "ways": item.get("ways", ()),
        "suppressed": item.get("suppressed", ()),
    }


def _consents(said: Sequence[Sequence[Any]]) -> tuple[list[str], list[str]]:
    """What somebody consents to and what not, as `purpose` or `purpose:channel`.

    What was said of one channel counts unless something later was said of all of them. Who leaves marketing leaves its
    topics, as `members.rules.may_contact` has it.
    """
    if not said:
        return [], []
    of_all = {parts[0]: parts[3] for parts in said if len(parts) == 4 or not parts[4]}
    known: dict[tuple[str, str], tuple[bool, int]] = {}
    for purpose, granted, _, at, *more in said:
        channel = more[0] if more else ""
        if not channel or at >= of_all.get(purpose, at):
            known[purpose, channel] = granted, at
    if len(known) > 1 and any(purpose.startswith(TOPIC_PREFIX) for purpose, _ in known):
        known |= _of_topics(known)
    given: list[str] = []
    withdrawn: list[str] = []
    for (purpose, channel), (granted, _) in known.items():
        (given if granted else withdrawn).append(f"{purpose}:{channel}" if channel else purpose)
    return sorted(given), sorted(withdrawn)


def _of_topics(known: Mapping[tuple[str, str], tuple[bool, int]]) -> dict[tuple[str, str], tuple[bool, int]]:
    """What holds of the topics of marketing, by each channel of which anything was said."""
    found = {}
    channels = {channel for purpose, channel in known if purpose == MARKETING_PURPOSE} | {""}
    for (topic, own), (granted, at) in known.items():
        if not topic.startswith(TOPIC_PREFIX) or not granted:
            continue
        for channel in {own} if own else channels:
            if channel != own and (topic, channel) in known:
                continue
            wider = known.get((MARKETING_PURPOSE, channel), known.get((MARKETING_PURPOSE, "")))
            found[topic, channel] = wider is None or wider[0] or wider[1] < at, at
    return found


def _account(item: Item) -> Row:
    account = points_store.sums_from_account(item)
    lots = derive(account, date.max)
    left = {**lots.lapses, **dict(lots.left)}
    earned, spent, *_ = item["life"]
    return {
        "id": str(account.member_id),
        "v": item["version"],
        "into": item.get("into"),
        "status": item["status"],
        "joined_on": item["opened"],
        "tier_id": item["tier"],
        "points_earned": earned,
        "points_spent": spent,
        "lots": [{"d": day.isoformat(), "p": points} for day, points in sorted(left.items())],
        "waits": list(_waits(account, left)),
        "held": [{"u": until, "p": points} for points, until in points_store.holds_from_account(item)],
    }


def _waits(account: Account, left: Mapping[date, int]) -> Iterator[Row]:
    """Points that cannot be spent, and between which days; `points.rules.balances` says when each is past that.

    Args:
        left: what each lot comes to when it expires, which is what will have lapsed of it then.
    """
    for day, points in account.pending.items():
        last = last_of_pending(day)
        if last is None:
            yield {"a": None, "z": day.isoformat(), "p": points}
            continue
        yield {"a": None, "z": (last + _A_DAY).isoformat() if last < NEVER else None, "p": points}
        folded = account.folded is not None and last <= account.folded.through
        if last == NEVER or is_lifelong(day) or folded or points <= left.get(last, 0):
            continue
        yield {"a": (last + _A_DAY).isoformat(), "z": None, "p": points - left.get(last, 0)}


# ---------------------------------------------------------------- what they did


def _purchase(item: Item, owner: str) -> Row:
    stated = purchases_store.as_stated(item)
    figures = purchases_store.returned_from(item) if "ret" in item else _NOTHING_BACK
    lines = purchases_store.line_figures(stated["ln"]) if "ln" in stated else []
    back = figures.quantities or (0,) * len(lines)
    goods = sum(line.quantity * line.unit_price_minor for line in lines) if lines else stated["m"] + stated.get("tn", 0)
    kept = [(line, line.quantity - some) for line, some in zip(lines, back, strict=True) if line.quantity > some]
    returned = _is_back(item, figures.count, figures.amount_minor, goods, kept=bool(kept))
    channel, order_no = keys.parted(item["pk"])[1:]
    return {
        "id": owner,
        "purchase_id": str(keys.purchase_id(channel, order_no)),
        "v": purchases_store.version_of(item),
        "shop_id": item.get("sh"),
        "channel": channel,
        "bought_on": _day(item["on"]),
        "bought_at": item["o"],
        "paid_minor": stated["m"],
        "refunded_minor": figures.refund_minor,
        "tender_minor": stated.get("tn", 0),
        "points_earned": stated.get("e", 0) - figures.points_taken_back,
        "returned": returned,
        "basket": []
        if returned
        else [
            {
                "sku": line.sku,
                "category": line.category or None,
                "quantity": some,
                "amount": some * line.unit_price_minor,
            }
            for line, some in kept
        ],
    }


def _is_back(item: Item, count: int, amount: int, goods: int, *, kept: bool) -> bool:
    """Whether the customer keeps nothing of a purchase: all of it was returned, or it was restated as nothing."""
    if goods == 0:
        return not kept and (count > 0 or "rs" in item)
    return count > 0 and amount >= goods


def _entry(item: Item, owner: str) -> Row:
    key = Key(item["pk"], item["sk"])
    recorded, seq = keys.moment_parts(item["at"])
    return {
        "id": owner,
        "entry_id": str(keys.entry_id(key)),
        "seq": seq,
        "kind": keys.entry_parts(key)[0],
        "reason": points_store.reason_of(item).value,
        "points": item["p"],
        "balance_after": item["b"],
        "occurred_on": _day(item["on"]),
        "recorded_at": recorded,
    }


def _day(number: int) -> str:
    written = str(number)
    return f"{written[:4]}-{written[4:6]}-{written[6:]}"
