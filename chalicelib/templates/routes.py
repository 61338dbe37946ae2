"""HTTP of templates. Their previews are with `privacy`: they may show who somebody is."""

from chalicelib.api.routing import Call, Routes
from chalicelib.kernel.ids import TemplateId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid, Page
from chalicelib.templates import service
from chalicelib.templates.errors import (
    TemplateArchived,
    TemplateChannelFixed,
    TemplateDiffers,
    TemplateInvalid,
    TemplateMoved,
    TemplateUnknown,
)
from chalicelib.templates.models import (
    ArchiveTemplate,
    CreateTemplate,
    EditTemplate,
    TemplateAsked,
    TemplateChannel,
    TemplateFields,
    TemplateRow,
    TemplatesAsked,
    TemplateView,
)

templates = Routes("templates")


class TemplatePage(Page[TemplateRow]):
    """A page of templates."""


@templates.post("/templates", keyed=True, status=201, refuses=(TemplateInvalid, TemplateDiffers))
def create_template(body: CreateTemplate, call: Call) -> Outcome[TemplateView]:
    """Make a template of what members are written.

    A text has `{{field}}` where something is filled in (`GET /v1/template-fields`); nothing else in it does anything.
    A commercial one gets the way to opt out, where it has none.
    """
    return service.create_template(call.house.table, call.key, body, by=call.signed_in.subject, now=call.now)


@templates.get("/templates", refuses=(CursorInvalid,))
def list_templates(query: TemplatesAsked, call: Call) -> TemplatePage:
    """All templates, the newest first, archived ones too. Of one channel, a page may hold fewer than `limit`."""
    scope = ("templates", query.channel or "")
    channel = TemplateChannel(query.channel) if query.channel else None
    after = call.position(query.cursor, *scope)
    return call.page(
        service.list_templates(call.house.table, channel, after=after, limit=query.limit), TemplatePage, *scope
    )


@templates.get("/template-fields")
def list_template_fields() -> TemplateFields:
    """The fields that a template may have."""
    return service.list_fields()


@templates.get("/templates/{template_id}", refuses=(TemplateUnknown,))
def get_template(template_id: TemplateId, query: TemplateAsked, call: Call) -> TemplateView:
    """A template: the version in force, or an earlier one."""
    return service.show_template(call.house.table, template_id, query.version)


@templates.put(
    "/templates/{template_id}",
    refuses=(TemplateUnknown, TemplateArchived, TemplateMoved, TemplateChannelFixed, TemplateInvalid),
)
def edit_template(template_id: TemplateId, body: EditTemplate, call: Call) -> Outcome[TemplateView]:
    """Write the next version of a template. What was planned with an earlier one goes out as that one has it."""
    call.require_version(body.version)
    by = call.signed_in.subject
    return service.edit_template(call.house.table, template_id, body, by=by, now=call.now)


@templates.post("/templates/{template_id}/archivals", status=201, refuses=(TemplateUnknown,))
def archive_template(template_id: TemplateId, body: ArchiveTemplate, call: Call) -> Outcome[TemplateView]:
    """Take a template out of use for good. What was planned with it still goes out."""
    by = call.signed_in.subject
    return service.archive_template(call.house.table, template_id, body, by=by, now=call.now)
