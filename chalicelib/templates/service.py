"""Use cases of templates: make, edit, archive, find, list; and what a member's fields hold."""

import hashlib
import json
from datetime import datetime

from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import TemplateId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.storage.table import Table
from chalicelib.templates import rules, store
from chalicelib.templates.errors import (
    TemplateArchived,
    TemplateChannelFixed,
    TemplateDiffers,
    TemplateMoved,
    TemplateUnknown,
)
from chalicelib.templates.fields import FIELDS
from chalicelib.templates.models import (
    ArchiveTemplate,
    CreateTemplate,
    EditTemplate,
    FieldView,
    Head,
    Template,
    TemplateChannel,
    TemplateFields,
    TemplateRow,
    TemplateView,
)

ATTEMPTS_MAX = 8


def create_template(
    table: Table, key: str, command: CreateTemplate, *, by: str, now: datetime
) -> Outcome[TemplateView]:
    """Make a template; its id follows from the key, so the same command again answers what it made.

    Raises:
        TemplateInvalid: it cannot be sent as it is written.
        TemplateDiffers: this key was used before to make another.
    """
    template_id = TemplateId.of(key)
    content = _content(command)
    known = store.find_head(table, template_id)
    if known is not None:
        return _made_before(table, known, content, key)

    at = from_milliseconds(milliseconds(now))
    template = Template(
        template_id=template_id, version=1, name=command.name, purpose=command.purpose, contents=command.contents,
        created_at=at, changed_at=at,
    )  # fmt: skip
    rules.require_new(command.contents, command.purpose)
    answer = view_of(template)

    if command.dry_run:
        return Outcome(answer, stored=False)
    head = _head_of(template, content=content, turn=1)
    try:
        table.commit([store.put_head(head, by=by), store.add_version(template, by=by)], keyed=True)
    except store.TemplateRaced:
        known = store.find_head(table, template_id)
        if known is None:
            raise WriteContended from None
        return _made_before(table, known, content, key)
    return Outcome(answer)


def edit_template(
    table: Table, template_id: TemplateId, command: EditTemplate, *, by: str, now: datetime
) -> Outcome[TemplateView]:
    """Write the next version of a template. The same command again answers the version that it made.

    Raises:
        TemplateUnknown: there is no such template.
        TemplateArchived: it is out of use.
        TemplateMoved: it was changed since the version that the command names.
        TemplateChannelFixed: it was made for another channel or purpose.
        TemplateInvalid: it cannot be sent as it is written.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    for _ in range(ATTEMPTS_MAX):
        head = _load(table, template_id)
        made = store.find_version(table, template_id, command.version + 1) if head.version > command.version else None
        if made is not None and _same(made, command):
            return Outcome(view_of(made, head), replayed=True)
        if head.archived_at is not None:
            raise TemplateArchived(template_id=template_id)
        if command.version != head.version:
            raise TemplateMoved(read=command.version, current=head.version)
        if (command.contents.channel, command.purpose) != (head.channel.value, head.purpose):
            raise TemplateChannelFixed(channel=head.channel.value, purpose=head.purpose)
        after = Template(
            template_id=template_id, version=head.version + 1, name=command.name, purpose=command.purpose,
            contents=command.contents, created_at=head.created_at, changed_at=from_milliseconds(milliseconds(now)),
        )  # fmt: skip
        rules.require_new(command.contents, command.purpose)
        answer = view_of(after)

        if command.dry_run:
            return Outcome(answer, stored=False)
        next_head = _head_of(after, content=head.content, turn=head.turn + 1)
        try:
            table.commit([store.put_head(next_head, by=by), store.add_version(after, by=by)])
        except store.TemplateRaced:
            continue
        return Outcome(answer)
    raise WriteContended


def archive_template(
    table: Table, template_id: TemplateId, command: ArchiveTemplate, *, by: str, now: datetime
) -> Outcome[TemplateView]:
    """Take a template out of use for good; again changes nothing. What was planned with it is still sent.

    Raises:
        TemplateUnknown: there is no such template.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    for _ in range(ATTEMPTS_MAX):
        head = _load(table, template_id)
        current = _version(table, head, head.version)
        if head.archived_at is not None:
            return Outcome(view_of(current, head), replayed=True)
        after = head.model_copy(update={"archived_at": from_milliseconds(milliseconds(now)), "turn": head.turn + 1})
        if command.dry_run:
            return Outcome(view_of(current, after), stored=False)
        try:
            table.commit([store.put_head(after, by=by)])
        except store.TemplateRaced:
            continue
        return Outcome(view_of(current, after))
    raise WriteContended


def find_template(table: Table, template_id: TemplateId, version: int | None = None) -> Template:
    """A template: the version that is in force, or an earlier one, of which one read is enough.

    Raises:
        TemplateUnknown: there is no such template, or no such version.
    """
    if version is not None:
        found = store.find_version(table, template_id, version)
        if found is None:
            raise TemplateUnknown(template_id=template_id, version=version)
        return found
    head = _load(table, template_id)
    return _version(table, head, head.version).model_copy(update={"archived": head.archived_at is not None})


def require_in_use(table: Table, template_id: TemplateId, purpose: str | None = None) -> Template:
    """The version of a template that is in force, for something new that is sent.

    Args:
        purpose: what the new thing is for; None: whatever the template is for.

    Raises:
        TemplateUnknown: there is no such template.
        TemplateArchived: it is out of use.
        TemplateChannelFixed: it is for another purpose.
    """
    template = find_template(table, template_id)
    if template.archived:
        raise TemplateArchived(template_id=template_id)
    if purpose not in (None, template.purpose):
        raise TemplateChannelFixed(channel=template.channel.value, purpose=template.purpose)
    return template


def show_template(table: Table, template_id: TemplateId, version: int | None) -> TemplateView:
    """A template as callers see it.

    Raises:
        TemplateUnknown: there is no such template, or no such version.
    """
    head = _load(table, template_id)
    return view_of(_version(table, head, version or head.version), head)


def list_templates(
    table: Table, channel: TemplateChannel | None, *, after: str | None, limit: int
) -> Slice[TemplateRow]:
    """A page of templates, the newest first, archived ones too. Of one channel, a page may hold fewer than `limit`."""
    found, last = store.list_heads(table, after=after, limit=limit)
    rows = tuple(
        TemplateRow.model_construct(**each.model_dump(exclude={"content", "turn"}))
        for each in found
        if channel in (None, each.channel)
    )
    return Slice(rows, last)


def list_fields() -> TemplateFields:
    """The fields that a template may have."""
    items = (
        FieldView(field=name, sort=each.sort.value, personal=each.contact, sample=dict(each.sample))
        for name, each in FIELDS.items()
    )
    return TemplateFields(items=tuple(items))


def view_of(template: Template, head: Head | None = None) -> TemplateView:
    """A template as callers see it.

    Raises:
        TemplateInvalid: it cannot be sent as it is written.
    """
    compiled = rules.require_sound(template.contents, template.purpose)
    sizes = rules.sizes(compiled) if template.channel is TemplateChannel.SMS else None
    archived = head is not None and head.archived_at is not None
    return TemplateView.model_construct(
        **{**dict(template), "archived": archived},
        commercial=rules.is_commercial(template.purpose),
        fields=tuple(sorted({name for each in compiled.values() for name in each.needed})),
        sms=sizes,
    )


def _content(command: CreateTemplate) -> bytes:
    """What tells a command from another of the same key. Not the canonical form: a document of a webhook has nulls."""
    said = command.model_dump(mode="json", exclude={"dry_run"})
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()


def _made_before(table: Table, head: Head, content: bytes, key: str) -> Outcome[TemplateView]:
    if head.content != content:
        raise TemplateDiffers(key=key)
    return Outcome(view_of(_version(table, head, 1)), replayed=True)


def _same(made: Template, command: EditTemplate) -> bool:
    return (made.name, made.purpose, made.contents) == (command.name, command.purpose, command.contents)


def _head_of(template: Template, *, content: bytes, turn: int) -> Head:
    return Head(
        template_id=template.template_id,
        name=template.name,
        purpose=template.purpose,
        channel=template.channel,
        languages=template.languages,
        version=template.version,
        created_at=template.created_at,
        changed_at=template.changed_at,
        content=content,
        turn=turn,
    )


def _load(table: Table, template_id: TemplateId) -> Head:
    head = store.find_head(table, template_id)
    if head is None:
        raise TemplateUnknown(template_id=template_id)
    return head


def _version(table: Table, head: Head, version: int) -> Template:
    found = store.find_version(table, head.template_id, version)
    if found is None:
        raise TemplateUnknown(template_id=head.template_id, version=version)
    return found
