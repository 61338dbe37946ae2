"""Use case of previews: what a member would get, with nobody's name in it unless that is written down."""

from collections.abc import Callable
from datetime import datetime

from chalicelib.identity.errors import PermissionMissing
from chalicelib.identity.models import Caller
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import MemberId, TemplateId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.personal import Kind, masked
from chalicelib.members import service as members
from chalicelib.members.models import MemberView
from chalicelib.privacy import store
from chalicelib.privacy.models import MaskedField, Unmasking
from chalicelib.privacy.service.unmasking import id_of
from chalicelib.programs.models import Program
from chalicelib.programs.rules import today_of
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import Table
from chalicelib.storage.words import Words
from chalicelib.templates import rules
from chalicelib.templates import service as templates
from chalicelib.templates.fields import samples
from chalicelib.templates.models import PreviewTemplate, PreviewView, TemplateChannel

_NOT_OF_A_MEMBER = frozenset(
    {
        "gift_points", "gift_expires_on", "points_earned", "amount", "last_bought_on", "purchases_count",
        "opt_out", "preferences",
    }
)  # fmt: skip
"""Fields that follow from what the message is sent for, and links, which would be good for the member's own choices:
previews show those of somebody made up."""


def preview(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    template_id: TemplateId,
    command: PreviewTemplate,
    *,
    by: Caller,
    draw: Callable[[], int],
    now: datetime,
) -> PreviewView:
    """What a template comes to for a member, or for somebody made up. It is sent to nobody.

    It is in the language that is asked for, else in the one in which it would go to the member. The member's name is
    masked, unless whoever asks may see it and says why, which is kept as a showing.

    Raises:
        TemplateUnknown: there is no such template, or no such version.
        PermissionMissing: the caller may not read members, or not see what is masked.
        MemberUnknown: there is no such member.
    """
    template = templates.find_template(table, template_id, command.version)
    program, asked, member = book.current(now), command.language, None
    if command.member_id is not None:
        _require(by, Permission.MEMBERS_READ)
        member = members.find_member(table, keyring, book, command.member_id, now=now, language=program.language)
        asked = asked or member.language
    language = rules.language_for(template.languages, asked, program.language)
    compiled = rules.compiled(template, language, provider=command.provider or "")
    values = samples(language)
    if member is not None:
        values = _values(member, program, language, now=now)
        if command.unmask_reason is None:
            values |= {"name": masked(Kind.NAME, values["name"])} if "name" in values else {}
        else:
            _require(by, Permission.MEMBERS_UNMASK)
            _write_down(table, keyring, member.member_id, command.unmask_reason, by, draw, now)
    made = compiled.filled(values)
    return PreviewView(
        template_id=template_id,
        version=template.version,
        language=made.language,
        member_id=command.member_id,
        subject=made.subject,
        text=made.text,
        html=made.html,
        url=made.url,
        template_code=made.template_code,
        params=made.params,
        sms=rules.sms_size(made.text) if template.channel is TemplateChannel.SMS else None,
        masked=command.member_id is not None and command.unmask_reason is None,
        missing=made.missing,
    )


def _values(member: MemberView, program: Program, language: Language, *, now: datetime) -> dict[str, str]:
    own = rules.values_of(member, program, language, today=today_of(program, now))
    return {name: value for name, value in samples(language).items() if name in _NOT_OF_A_MEMBER} | own


def _require(caller: Caller, permission: Permission) -> None:
    if caller.scope(permission) is None:
        raise PermissionMissing(permission=permission.value)


def _write_down(
    table: Table,
    keyring: Keyring,
    member_id: MemberId,
    reason: str,
    by: Caller,
    draw: Callable[[], int],
    now: datetime,
) -> None:
    """Keep that the name was shown, before it is."""
    chance = draw()
    showing = Unmasking(
        unmasking_id=id_of(chance),
        member_id=member_id,
        by=by.subject,
        fields=(MaskedField.NAME,),
        reason=reason,
        at=from_milliseconds(milliseconds(now)),
    )
    table.commit([store.add_unmasking(showing, chance & 0xFFFFFFF, Words(table, keyring.contacts))])
