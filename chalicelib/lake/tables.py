"""The columns of the lake: of its files, of the lines of its log, and of the views that are asked.

`own` is the number of the account that something was written for, `m` that of the member who answers for it now.
"""

from collections.abc import Mapping

FORM = 2
"""Goes up when a column is added, or comes in the place of another. Files of an older form are read until the next
base, with nulls where a column is new; a column is never given another meaning. Form 2: `SPELLED` lists are texts, and
there is `language`."""

_LOTS = "STRUCT(d DATE, p BIGINT)[]"
_WAITS = "STRUCT(a DATE, z DATE, p BIGINT)[]"
_HELD = "STRUCT(u BIGINT, p BIGINT)[]"
_BASKET = "STRUCT(sku VARCHAR, category VARCHAR, quantity INTEGER, amount BIGINT)[]"

PROFILE: Mapping[str, str] = {
    "erased": "BOOLEAN",
    "gender": "VARCHAR",
    "language": "VARCHAR",
    "month_day": "VARCHAR",
    "born": "SMALLINT",
    "shop_id": "VARCHAR",
    "region": "VARCHAR",
    "source": "VARCHAR",
    "tags": "VARCHAR[]",
    "custom": "VARCHAR",
    "consents": "VARCHAR[]",
    "withdrawn": "VARCHAR[]",
    "ways": "VARCHAR[]",
    "suppressed": "VARCHAR[]",
}
"""What a profile says, as it is told."""

SPELLED = {name: f"{name}_said" for name in ("consents", "withdrawn", "ways", "suppressed")}
"""Lists of which there are few different ones: in these columns of files they are texts, of words parted by line feeds.

The engine looks at each text once then, and not at everybody's words, which takes seven times as long. Tags stay lists:
there may be as many different ones as people, and each text would have to be taken apart."""

KEPT_PROFILE: Mapping[str, str] = {
    SPELLED.get(name, name): "VARCHAR" if name in SPELLED else kind for name, kind in PROFILE.items()
}
"""What a profile says, as files have it."""

ACCOUNT: Mapping[str, str] = {
    "status": "VARCHAR",
    "joined_on": "DATE",
    "tier_id": "VARCHAR",
    "points_earned": "BIGINT",
    "points_spent": "BIGINT",
    "lots": _LOTS,
    "waits": _WAITS,
    "held": _HELD,
}
"""What an account says. `lots`: what is left of each, by its last day. `waits`: points that cannot be spent, with the
first day on which they count among those and the first on which they do not. `held`: by the millisecond at which they
are free."""

ROLLUPS: Mapping[str, str] = {
    "purchases_count": "BIGINT",
    "spent_minor": "BIGINT",
    "first_bought_on": "DATE",
    "last_bought_on": "DATE",
}
"""What somebody's purchases come to."""

POINTS: Mapping[str, str] = {"points": "BIGINT", "points_pending": "BIGINT", "from_on": "DATE", "until_on": "DATE"}
"""What somebody can spend, from a day on and until another: between them time changes nothing."""

PEOPLE: Mapping[str, str] = {
    "m": "UINTEGER",
    "id": "VARCHAR",
    "root": "UINTEGER",
    "was": "UINTEGER",
    "into_m": "UINTEGER",
    "shown": "BOOLEAN",
    "gone": "BOOLEAN",
    "pv": "BIGINT",
    "av": "BIGINT",
    **KEPT_PROFILE,
    **ACCOUNT,
    **ROLLUPS,
    **POINTS,
}
"""Everybody who was ever a member. `root`: who answers for them; `was`: who did in the base; `pv`, `av`: versions of
profile and account; `shown`: is a member now; `gone`: was erased, or went into somebody who was."""

CONTACTS: Mapping[str, str] = {"own": "UINTEGER", "m": "UINTEGER", "sealed": "VARCHAR", "version": "BIGINT"}

PURCHASES: Mapping[str, str] = {
    "own": "UINTEGER",
    "m": "UINTEGER",
    "purchase_id": "VARCHAR",
    "version": "BIGINT",
    "shop_id": "VARCHAR",
    "channel": "VARCHAR",
    "bought_on": "DATE",
    "bought_at": "TIMESTAMP",
    "paid_minor": "BIGINT",
    "refunded_minor": "BIGINT",
    "net_minor": "BIGINT",
    "tender_minor": "BIGINT",
    "points_earned": "BIGINT",
    "lines_count": "INTEGER",
    "returned": "BOOLEAN",
}

LINES: Mapping[str, str] = {
    "own": "UINTEGER",
    "m": "UINTEGER",
    "purchase_id": "VARCHAR",
    "bought_on": "DATE",
    "shop_id": "VARCHAR",
    "sku": "VARCHAR",
    "category": "VARCHAR",
    "quantity": "INTEGER",
    "amount_minor": "BIGINT",
}

ENTRIES: Mapping[str, str] = {
    "own": "UINTEGER",
    "m": "UINTEGER",
    "entry_id": "VARCHAR",
    "seq": "BIGINT",
    "kind": "VARCHAR",
    "reason": "VARCHAR",
    "points": "BIGINT",
    "balance_after": "BIGINT",
    "occurred_on": "DATE",
    "recorded_at": "TIMESTAMP",
}

DELIVERY: Mapping[str, str] = {
    "source": "VARCHAR",
    "source_id": "VARCHAR",
    "step": "VARCHAR",
    "run_id": "VARCHAR",
    "channel": "VARCHAR",
    "variant": "VARCHAR",
    "outcome": "VARCHAR",
    "reason": "VARCHAR",
    "at": "TIMESTAMP",
    "provider": "VARCHAR",
    "cost_micro": "BIGINT",
    "delivery_id": "VARCHAR",
}
RECEIPT: Mapping[str, str] = {
    "delivery_id": "VARCHAR",
    "source_id": "VARCHAR",
    "step": "VARCHAR",
    "channel": "VARCHAR",
    "kind": "VARCHAR",
    "at": "TIMESTAMP",
}
ASSIGNMENT: Mapping[str, str] = {
    "campaign_id": "VARCHAR",
    "run_id": "VARCHAR",
    "variant": "VARCHAR",
    "held_out": "BOOLEAN",
    "at": "TIMESTAMP",
}
FACT_ROWS: Mapping[str, Mapping[str, str]] = {"delivery": DELIVERY, "receipt": RECEIPT, "assignment": ASSIGNMENT}
"""What is told in a row of each kind, beside `row_id` and `member_id`."""

FACT_TABLES = {"delivery": "deliveries", "receipt": "receipts", "assignment": "assignments"}
_TOLD = {"own": "UINTEGER", "m": "UINTEGER", "row_id": "VARCHAR"}

TABLES: Mapping[str, Mapping[str, str]] = {
    "people": PEOPLE,
    "contacts": CONTACTS,
    "purchases": PURCHASES,
    "lines": LINES,
    "entries": ENTRIES,
    **{FACT_TABLES[fact]: {**_TOLD, **columns} for fact, columns in FACT_ROWS.items()},
}
"""The files of a base and of a patch, and their columns."""

WHOLE = ("people", "contacts", "purchases", "lines")
"""Tables of which a patch has all rows of the people that it has."""

ADDED = ("entries", *FACT_TABLES.values())
"""Tables of which a patch has the rows that are new; they never change. By what each row is told apart:"""

NAMED = {"entries": "entry_id", **dict.fromkeys(FACT_TABLES.values(), "row_id")}


def _struct(columns: Mapping[str, str]) -> str:
    return "STRUCT(" + ", ".join(f'"{name}" {kind}' for name, kind in columns.items()) + ")"


def _told(columns: Mapping[str, str]) -> str:
    """A row as it is told: instants are milliseconds."""
    plain = {name: "BIGINT" if kind == "TIMESTAMP" else kind for name, kind in columns.items()}
    return _struct({"row_id": "VARCHAR", "member_id": "VARCHAR", **plain})


LOGGED: Mapping[str, str] = {
    "batch": "STRUCT(through BIGINT)",
    "member": _struct({"id": "VARCHAR", "v": "BIGINT", "sealed": "VARCHAR", **PROFILE}),
    "account": _struct({"id": "VARCHAR", "v": "BIGINT", "into": "VARCHAR", **ACCOUNT}),
    "purchase": _struct(
        {
            "id": "VARCHAR",
            "purchase_id": "VARCHAR",
            "v": "BIGINT",
            "shop_id": "VARCHAR",
            "channel": "VARCHAR",
            "bought_on": "DATE",
            "bought_at": "BIGINT",
            "paid_minor": "BIGINT",
            "refunded_minor": "BIGINT",
            "tender_minor": "BIGINT",
            "points_earned": "BIGINT",
            "returned": "BOOLEAN",
            "basket": _BASKET,
        }
    ),
    "entry": _struct(
        {
            "id": "VARCHAR",
            "entry_id": "VARCHAR",
            "seq": "BIGINT",
            "kind": "VARCHAR",
            "reason": "VARCHAR",
            "points": "BIGINT",
            "balance_after": "BIGINT",
            "occurred_on": "DATE",
            "recorded_at": "BIGINT",
        }
    ),
    **{fact: _told(columns) for fact, columns in FACT_ROWS.items()},
}
"""The lines of the log: each has one of these."""
