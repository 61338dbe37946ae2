"""Templates in versions: one command is one version, and what was planned with a version goes out as it was."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from chalicelib.kernel.ids import TemplateId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from chalicelib.templates import service
from chalicelib.templates.errors import (
    TemplateArchived,
    TemplateChannelFixed,
    TemplateDiffers,
    TemplateInvalid,
    TemplateMoved,
    TemplateUnknown,
)
from chalicelib.templates.models import ArchiveTemplate, CreateTemplate, EditTemplate, TemplateChannel, TemplateView
from tests.table.stand import Crashed, CrashingTable, Desk, at_once, scan
from tests.templates import an_email, an_sms

NOBODYS = TemplateId("tpl_aaaaaaaaaaaaaaaa")


def create(desk: Desk, key: str = "k", **fields: Any) -> Outcome[TemplateView]:
    command = CreateTemplate.model_validate(
        {"name": "spring", "purpose": "marketing", "contents": an_sms(), **fields}, strict=False
    )
    return service.create_template(desk.table, key, command, by="stf_ann", now=desk.clock())


def edit(desk: Desk, template_id: TemplateId, version: int, text: str = "新的", **fields: Any) -> Outcome[TemplateView]:
    command = EditTemplate.model_validate(
        {"name": "spring", "purpose": "marketing", "contents": an_sms(text), "version": version, **fields}, strict=False
    )
    return service.edit_template(desk.table, template_id, command, by="stf_ann", now=desk.clock())


def archive(desk: Desk, template_id: TemplateId, **fields: Any) -> Outcome[TemplateView]:
    command = ArchiveTemplate(**fields)
    return service.archive_template(desk.table, template_id, command, by="stf_ann", now=desk.clock())


def replayed(answers: Sequence[Any]) -> list[bool]:
    return sorted(each.replayed for each in answers)


def test_a_template_is_made_edited_and_archived_and_every_version_stays(desk: Desk) -> None:
    made = create(desk).value
    assert (made.version, made.commercial, made.fields) == (1, True, ("name", "points"))
    assert made.sms is not None
    desk.clock.forward(days=1)
    edited = edit(desk, made.template_id, 1).value
    assert (edited.version, edited.created_at, edited.changed_at) == (2, made.created_at, desk.clock())
    assert service.find_template(desk.table, made.template_id).version == 2
    first = service.find_template(desk.table, made.template_id, 1)
    assert first.contents == made.contents
    assert service.show_template(desk.table, made.template_id, None) == edited
    archived = archive(desk, made.template_id).value
    assert archived.archived
    assert service.find_template(desk.table, made.template_id, 1).contents == made.contents, "what was planned goes out"
    for refused in (
        lambda: service.require_in_use(desk.table, made.template_id),
        lambda: edit(desk, made.template_id, 2, "x"),
    ):
        with pytest.raises(TemplateArchived):
            refused()


def test_the_same_command_again_answers_what_it_made(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    first = create(desk)
    made = first.value.template_id
    second = edit(desk, made, 1)
    third = archive(desk, made)
    before = scan(dynamo, table.name)
    desk.clock.forward(days=1)
    assert (create(desk).replayed, create(desk).value) == (True, first.value)
    again = edit(desk, made, 1)
    assert (again.replayed, again.value.contents) == (True, second.value.contents), "also when it was archived since"
    assert (archive(desk, made).replayed, archive(desk, made).value) == (True, third.value)
    assert scan(dynamo, table.name) == before


def test_a_key_or_a_version_with_other_content_is_refused(desk: Desk) -> None:
    made = create(desk).value.template_id
    with pytest.raises(TemplateDiffers):
        create(desk, name="autumn")
    edit(desk, made, 1)
    with pytest.raises(TemplateMoved) as moved:
        edit(desk, made, 1, "又一个")
    assert moved.value.facts == {"read": 1, "current": 2}
    with pytest.raises(TemplateMoved):
        edit(desk, made, 7)


def test_of_several_at_once_one_is_the_next_version(desk: Desk, dynamo: Dynamo) -> None:
    answers = at_once(dynamo, *(lambda: create(desk) for _ in range(4)))
    assert replayed(answers) == [False, True, True, True], answers
    made = create(desk).value.template_id
    edits = at_once(dynamo, *(lambda n=n: edit(desk, made, 1, f"第{n}版") for n in range(4)))
    assert len([each for each in edits if isinstance(each, Outcome)]) == 1
    assert len([each for each in edits if isinstance(each, TemplateMoved)]) == 3, edits
    archives = at_once(dynamo, *(lambda: archive(desk, made) for _ in range(4)))
    assert replayed(archives) == [False, True, True, True], archives


def test_a_crash_at_any_call_is_whole_or_nothing_and_a_retry_completes(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    for after in (False, True):
        for at in range(1, 6):
            key = f"{after}{at}"
            before = len(scan(dynamo, table.name))
            with contextlib.suppress(Crashed):
                create(desk.over(CrashingTable(table, at, after=after)), key)
            assert len(scan(dynamo, table.name)) - before in (0, 2)
            made = create(desk, key).value.template_id
            assert len(scan(dynamo, table.name)) - before == 2
            with contextlib.suppress(Crashed):
                edit(desk.over(CrashingTable(table, at, after=after)), made, 1)
            assert edit(desk, made, 1).value.version == 2
            assert len(scan(dynamo, table.name)) - before == 3
            with contextlib.suppress(Crashed):
                archive(desk.over(CrashingTable(table, at, after=after)), made)
            assert archive(desk, made).value.archived
            assert len(scan(dynamo, table.name)) - before == 3


def test_what_cannot_be_sent_is_not_kept(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    made = create(desk).value.template_id
    before = scan(dynamo, table.name)
    acts: tuple[Callable[[], Any], ...] = (
        lambda: create(desk, "other", contents=an_sms("{{nobody}}")),
        lambda: edit(desk, made, 1, "{{nobody}}"),
    )
    for act in acts:
        with pytest.raises(TemplateInvalid):
            act()
    assert not create(desk, "dry", dry_run=True).stored
    assert not edit(desk, made, 1, dry_run=True).stored
    assert not archive(desk, made, dry_run=True).stored
    assert scan(dynamo, table.name) == before


def test_channel_and_purpose_stay(desk: Desk) -> None:
    made = create(desk).value.template_id
    with pytest.raises(TemplateChannelFixed):
        edit(desk, made, 1, contents=an_email())
    with pytest.raises(TemplateChannelFixed):
        edit(desk, made, 1, purpose="notices")
    with pytest.raises(TemplateChannelFixed):
        service.require_in_use(desk.table, made, "marketing_news")


def test_templates_are_listed_the_newest_first(desk: Desk) -> None:
    made = []
    for number, contents in enumerate((an_sms(), an_email(), an_sms("x"))):
        desk.clock.forward(minutes=1)
        made.append(create(desk, f"k{number}", contents=contents).value.template_id)
    rows = service.list_templates(desk.table, None, after=None, limit=10).items
    assert [each.template_id for each in rows] == made[::-1]
    texts = service.list_templates(desk.table, TemplateChannel.SMS, after=None, limit=10).items
    assert [each.template_id for each in texts] == [made[2], made[0]]


def test_what_is_unknown_is_refused(desk: Desk) -> None:
    made = create(desk).value.template_id
    asks: tuple[Callable[[], Any], ...] = (
        lambda: service.find_template(desk.table, NOBODYS),
        lambda: service.find_template(desk.table, made, 9),
        lambda: service.show_template(desk.table, NOBODYS, None),
        lambda: edit(desk, NOBODYS, 1),
        lambda: archive(desk, NOBODYS),
    )
    for ask in asks:
        with pytest.raises(TemplateUnknown):
            ask()


def test_a_large_mail_takes_little_room(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    html = "<table>" + '<tr><td style="padding:10px"><p>您好，这是一行文字。</p></td></tr>' * 140 + "</table>"
    made = create(desk, contents=an_email(html)).value
    assert service.find_template(desk.table, made.template_id).contents == made.contents
    sizes = [
        len(item["template"]) for item in scan(dynamo, table.name).values() if isinstance(item.get("template"), bytes)
    ]
    assert len(html) > 6_000
    assert sizes[0] < 2_000
