"""What of a change an audit record shows. Whatever is not listed is told as changed, and no more.

A record can never be changed, so nothing goes into it that may have to be erased: no name, no number to reach somebody
by, no word that somebody typed.
"""

from collections.abc import Mapping

SHOWN: Mapping[str, frozenset[str]] = {
    "profile": frozenset({"shop", "source"}),
    "account": frozenset({"status", "tier", "into"}),
    "pool": frozenset({"kind", "owner", "count"}),
    "part in a pool": frozenset({"role", "limit"}),
    "card": frozenset({"card_kind", "currency", "uses", "price", "product"}),
    "owner of a card": frozenset({"member_id"}),
    "entry": frozenset({"r", "p", "b", "q", "rc", "x", "hd", "am", "mb", "m", "tp"}),
    "note": frozenset({"kind"}),
    "program": frozenset({"version"}),
    "staff": frozenset({"status", "roles", "shop_ids", "member_id"}),
    "role": frozenset({"grants"}),
    "integration key": frozenset({"permissions", "scope", "shop_ids", "status", "rate", "expires_on"}),
    "approval": frozenset({"state", "kind", "points"}),
    "alert": frozenset({"state"}),
}
"""Attributes of each kind of item that are shown as they were and as they are."""

SILENT = frozenset({"pk", "sk", "tl", "at", "due", "version", "h", "head", "seq", "last", "d", "sb", "sf", "expires"})
"""Attributes that change with every write, or say again what others do."""

EXPANDED: Mapping[str, str] = {"program": "program"}
"""An attribute of JSON text whose fields are compared one by one; by kind of item."""

FIELDS = frozenset({"fields", "role", "member_id", "owner_id", "points", "expires_on"})
"""Of the facts of a note, those that are shown."""

VALUE_MAX = 2000
"""Characters of a value that are shown."""
