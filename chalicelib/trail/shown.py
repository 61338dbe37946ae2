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
    "entry": frozenset({"r", "p", "b", "q", "rc", "x", "hd", "am", "mb", "m", "tp", "gv"}),
    "note": frozenset({"kind"}),
    "program": frozenset({"version"}),
    "staff": frozenset({"status", "roles", "shops", "member_id"}),
    "role": frozenset({"grants", "holders"}),
    "integration key": frozenset({"may", "scope", "shops", "status", "rate", "expires_on"}),
    "approval": frozenset({"ask", "amount", "status", "entry", "shops"}),
    "text of a consent": frozenset({"purpose", "channel", "text_version"}),
    "alert": frozenset({"state"}),
    "journey": frozenset({"state", "edition"}),
    "segment": frozenset({"kind", "state", "edition"}),
    "template": frozenset({"purpose", "channel", "current", "archived"}),
    "suppression": frozenset({"channel", "code", "source", "lifted"}),
    "line of the log of reach": frozenset({"why"}),
    "campaign": frozenset({"state", "definition"}),
    "run of a campaign": frozenset({"status"}),
}
"""Attributes of each kind of item that are shown as they were and as they are."""

SILENT = frozenset(
    {"pk", "sk", "tl", "at", "due", "version", "h", "head", "seq", "last", "d", "sb", "sf", "expires", "content"}
    | {"by", "changed_by", "decided_by", "decided", "reason"}
)
"""Attributes that change with every write, or say again what others do, or what the record says itself."""

EXPANDED: Mapping[str, str] = {"program": "program", "campaign": "definition"}
"""An attribute of JSON text whose fields are compared one by one; by kind of item."""

FIELDS = frozenset({"fields", "role", "member_id", "owner_id", "points", "expires_on"})
"""Of the facts of a note, and of a showing of personal data, those that are shown."""

VALUE_MAX = 2000
"""Characters of a value that are shown."""
