"""How templates are stored.

`TPL#<template>` / `HEAD` which version is in force, listed by the timeline index · `V#<version>` what a version says,
compressed: HTML shrinks to a tenth. Versions are written once, in the transaction that moves the head.
"""

import json
import zlib

from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import TemplateId
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Unchanged, Write
from chalicelib.templates.models import Head, Template


class TemplateRaced(Exception):
    """What was read has changed: read again and decide again. Never leaves the service."""


def find_head(table: Table, template_id: TemplateId) -> Head | None:
    """What there is of a template, as it is now, or None."""
    item = table.get(keys.template(template_id), consistent=True)
    return _head(item) if item else None


def find_version(table: Table, template_id: TemplateId, version: int) -> Template | None:
    """A version of a template, or None. It never changes, so only what is missing is looked for again."""
    key = keys.template_version(template_id, version)
    item = table.get(key) or table.get(key, consistent=True)
    return Template.model_validate_json(zlib.decompress(item["template"])) if item else None


def list_heads(table: Table, *, after: str | None, limit: int) -> tuple[tuple[Head, ...], str | None]:
    """A page of templates, the newest first, and where the next one starts."""
    rows = table.query_timeline(keys.TEMPLATES, after=after, limit=limit)
    wanted = [Key(row["pk"], row["sk"]) for row in rows.items]
    found = table.get_many(wanted)
    return tuple(_head(found[key]) for key in wanted if key in found), rows.last


def put_head(head: Head, *, by: str) -> Write:
    """The write of a template's head: new, or the one after what was read."""
    condition = Unchanged(head.turn - 1) if head.turn > 1 else Absent()
    return Put(keys.template(head.template_id), _item(head, by), condition, lambda _: TemplateRaced())


def add_version(template: Template, *, by: str) -> Write:
    """The write of a version."""
    said = json.dumps(template.model_dump(mode="json", exclude_none=True), ensure_ascii=False, separators=(",", ":"))
    item: Item = {"template": zlib.compress(said.encode(), 9), "by": by}
    key = keys.template_version(template.template_id, template.version)
    return Put(key, item, Absent(), lambda _: TemplateRaced())


def _item(head: Head, by: str) -> Item:
    return {
        "tl": keys.TEMPLATES,
        "at": keys.listed_moment(head.created_at, head.template_id),
        "name": head.name,
        "purpose": head.purpose,
        "channel": head.channel.value,
        "languages": [each.value for each in head.languages],
        "current": head.version,
        "archived": milliseconds(head.archived_at) if head.archived_at else None,
        "created": milliseconds(head.created_at),
        "changed": milliseconds(head.changed_at),
        "content": head.content,
        "by": by,
        "version": head.turn,
    }


def _head(item: Item) -> Head:
    return Head.model_validate(
        {
            "template_id": TemplateId(keys.parted(item["pk"])[1]),
            **{name: item[name] for name in ("name", "purpose", "channel", "languages", "content")},
            "version": item["current"],
            "archived_at": from_milliseconds(item["archived"]) if "archived" in item else None,
            "created_at": from_milliseconds(item["created"]),
            "changed_at": from_milliseconds(item["changed"]),
            "turn": item["version"],
        },
        strict=False,
    )
