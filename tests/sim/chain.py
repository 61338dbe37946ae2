"""The hash of an entry, by `docs/canonical-form.md` and from what is stored: the judge's own, not the product's."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_REASONS = {
    "e": "earn", "s": "spend", "x": "expire", "a": "adjust", "t": "tier", "r": "reverse",
    "h": "hold", "l": "release", "f": "transfer", "m": "merge",
}  # fmt: skip
_NUMBERS = {"e": "earned", "c": "consumed", "q": "qualifying", "l": "lapsed", "hd": "held", "hu": "held_until"}
_PLAIN = {"sm": "sums", "by": "actor", "an": "anchor", "rc": "reason_code", "cz": "cause"}
_OWNERS = {"M": "mem_", "G": "pol_", "C": "crd_"}
_DAYS = {"x": "expires_on", "pd": "period", "mt": "matures_on"}


def hash_of(item: Mapping[str, Any], before: bytes) -> bytes:
    """What an entry's hash should be after the entry before it."""
    text = json.dumps(_content(item), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(b"regulars entry 1\n" + before + text.encode()).digest()


def _content(item: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {
        "key": _key(item),
        "member_id": _owner(item["tl"]),
        "seq": int(item["at"][11:], 16),
        "reason": _REASONS[item["r"]],
        "points": item["p"],
        "balance_after": item["b"],
        "occurred_at": item["o"],
        "occurred_on": _day(item["on"]),
        "recorded_at": int(item["at"][:11], 16),
        "program_version": item["v"],
    }
    content |= {name: item[short] for short, name in (_NUMBERS | _PLAIN).items() if short in item}
    content |= {name: _day(item[short]) for short, name in _DAYS.items() if short in item}
    if "tb" in item:
        content |= {"tier_before": item["tb"], "tier_after": item.get("ta", item["tb"])}
    if "w" in item:
        content["why"] = [_why(part) for part in item["w"].split(";")]
    if "d" in item:
        content["content"] = item["d"].hex()
    return content


def _owner(partition: str) -> str:
    mark, own = partition.split("#")
    return _OWNERS[mark] + own


def _key(item: Mapping[str, Any]) -> list[str]:
    mark, *parts = (_unescaped(part) for part in item["pk"].split("#"))
    if mark == "K":
        return parts
    below = [_unescaped(part) for part in item["sk"].split("#")]
    if mark == "C":
        return ["top_up", _owner(item["pk"]), below[1]]
    kind = {"O": "purchase", "RF": "return", "RS": "restatement", "DL": "delivery"}[below[0]]
    return [kind, *parts, *below[1:]]


def _unescaped(part: str) -> str:
    return part.replace("%23", "#").replace("%25", "%")


def _why(part: str) -> list[Any]:
    rule, *figures = part.split(":")
    head, dot, rest = rule.partition(".")
    return [{"b": "base", "t": "tier"}.get(head, head) + dot + rest, *map(int, figures)]


def _day(number: int) -> str:
    return f"{number // 10_000:04d}-{number // 100 % 100:02d}-{number % 100:02d}"
