"""HTTP of privacy."""

from urllib.parse import urlencode

from chalicelib.api.routing import Call, Html, Routes, SeeOther
from chalicelib.approvals.models import ApprovalKind
from chalicelib.approvals.service import Alone, asking
from chalicelib.deliveries.service import reading as deliveries
from chalicelib.identity.errors import PermissionMissing
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.ids import MemberId, TemplateId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.lake.errors import LakeMissing
from chalicelib.lake.store import patching
from chalicelib.members import service as members
from chalicelib.members.errors import ContactChangedLately
from chalicelib.points.errors import MemberUnknown
from chalicelib.privacy.errors import ConsentNotOffered, ErasureBlocked, ExportTooLarge, OptOutUnknown, SignInStale
from chalicelib.privacy.models import (
    EraseMe,
    EraseMember,
    Erasure,
    ErasureReason,
    ErasureView,
    Export,
    ExportMe,
    ExportMember,
    OptOutShown,
    OptOutToken,
    PreferenceAsked,
    PreferencesShown,
    Unmask,
    UnmaskedView,
)
from chalicelib.privacy.service import erasing, exporting, opting_out, preferring, previewing, showing, unmasking
from chalicelib.privacy.service.erasing import Places
from chalicelib.privacy.service.pages import fault_page
from chalicelib.programs.service import book_of
from chalicelib.templates.errors import TemplateUnknown
from chalicelib.templates.models import PreviewTemplate, PreviewView

privacy = Routes("privacy")

OWN_WISH = "asked by the member"


@privacy.post("/members/{member_id}/unmaskings", status=201, refuses=(MemberUnknown,))
def unmask_member(member_id: MemberId, body: Unmask, call: Call) -> UnmaskedView:
    """Show personal data of a member as they are. Who asked, for what and why is kept."""
    house, caller = call.house, call.caller
    assert caller is not None, "the policy lets nobody in without a token"
    book = book_of(house.table)
    return unmasking.unmask(
        house.table, house.keyring, book, member_id, body, by=caller.subject, draw=house.draw, now=call.now
    )


def _places(call: Call) -> Places:
    house = call.house
    return Places(house.table, house.ops, house.keyring, house.roots, book_of(house.table))


@privacy.post("/members/{member_id}/erasures", status=201, refuses=(MemberUnknown, ErasureBlocked))
def erase_member(member_id: MemberId, body: EraseMember, call: Call) -> Outcome[ErasureView]:
    """Erase a member, and whoever was merged into them, for good. There is no way back.

    Contact data, sign-ins, consents, tags and what people wrote of them go; their key goes, and with it what backups
    hold. Entries stay, under an id that leads to nobody. It is refused with a list of all that stands in the way. Cut
    short, it is completed by being sent again.
    """
    places = _places(call)
    limit = places.book.current(call.now).approvals.adjustment_points_max
    closing = erasing.closing_of(body)
    asked = asking(ApprovalKind.CLOSURE, member_id, member_id, closing, call.signed_in, Permission.MEMBERS_ERASE)
    alone = Alone(places.table, asked, limit, call.now)
    return _told(erasing.erase_member(places, member_id, body, by=asked.asked_by, now=call.now, clearance=alone))


@privacy.post("/me/erasures", status=201, refuses=(MemberUnknown, ErasureBlocked, SignInStale, ContactChangedLately))
def erase_me(body: EraseMe, call: Call) -> Outcome[ErasureView]:
    """Erase yourself for good. There is no way back. You have to have signed in by a code within ten minutes."""
    members.require_settled(call.house.table, call.member_id, now=call.now)
    erasing.require_fresh(call.house.ops, call.signed_in, now=call.now)
    command = EraseMember(reason=ErasureReason.ASKED, forfeit=body.forfeit, dry_run=body.dry_run)
    return _told(erasing.erase_member(_places(call), call.member_id, command, by=call.signed_in.subject, now=call.now))


def _told(outcome: Outcome[Erasure]) -> Outcome[ErasureView]:
    told = ErasureView(**outcome.value.model_dump(), done=outcome.stored)
    return Outcome(told, replayed=outcome.replayed, stored=outcome.stored)


@privacy.post("/members/{member_id}/exports", status=201, refuses=(MemberUnknown, ExportTooLarge, LakeMissing))
def export_member(member_id: MemberId, body: ExportMember, call: Call) -> Export:
    """Everything that is kept about a member, decrypted, for the member. Who asked and why is kept."""
    return exporting.export_member(
        _places(call), member_id, body.reason, by=call.signed_in.subject, messages=_known(call), draw=call.house.draw,
        language=_language(call), now=call.now,
    )  # fmt: skip


@privacy.post("/members/{member_id}/export-pages", status=201, refuses=(MemberUnknown, ExportTooLarge, LakeMissing))
def export_member_page(member_id: MemberId, body: ExportMember, call: Call) -> Html:
    """Everything that is kept about a member, as a page to read or print. Who asked and why is kept."""
    made = exporting.export_member(
        _places(call), member_id, body.reason, by=call.signed_in.subject, messages=_known(call), draw=call.house.draw,
        language=_language(call), now=call.now,
    )  # fmt: skip
    return Html(_page(made, call))


@privacy.post("/me/exports", status=201, refuses=(MemberUnknown, ExportTooLarge, LakeMissing, ContactChangedLately))
def export_me(body: ExportMe, call: Call) -> Export:  # noqa: ARG001 - an empty body
    """Everything that is kept about you."""
    members.require_settled(call.house.table, call.member_id, now=call.now)
    return exporting.export_member(
        _places(call), call.member_id, OWN_WISH, by=call.signed_in.subject, messages=_known(call), draw=call.house.draw,
        language=_language(call), now=call.now,
    )  # fmt: skip


@privacy.post(
    "/me/export-pages", status=201, refuses=(MemberUnknown, ExportTooLarge, LakeMissing, ContactChangedLately)
)
def export_me_page(body: ExportMe, call: Call) -> Html:  # noqa: ARG001 - an empty body
    """Everything that is kept about you, as a page to read or print."""
    members.require_settled(call.house.table, call.member_id, now=call.now)
    made = exporting.export_member(
        _places(call), call.member_id, OWN_WISH, by=call.signed_in.subject, messages=_known(call), draw=call.house.draw,
        language=_language(call), now=call.now,
    )  # fmt: skip
    return Html(_page(made, call))


def _known(call: Call) -> exporting.Messages:
    """Asks the lake for what it knows of messages to a member."""
    functions = call.house.functions
    return lambda member_id, limit: deliveries.find_known(functions, member_id, limit=limit)


def _page(made: Export, call: Call) -> str:
    language = _language(call)
    program = book_of(call.house.table).current(call.now)
    return showing.page_of(made, language, program, exporting.titles_of(call.house.table, made, language))


def _language(call: Call) -> Language:
    return book_of(call.house.table).language(call.language, call.now)


def _counting(call: Call) -> opting_out.Counting:
    house = call.house
    ask = patching(house.queues, house.settings.lake_queue, house.clock)
    return opting_out.Counting.of(house.table, house.ops, house.objects, ask)


def _reader(call: Call, chosen: str | None) -> tuple[Language, str]:
    """In which language a page behind a link is shown, and what the program is called in it: whose message it was."""
    language = Language(chosen) if chosen else _language(call)
    return language, book_of(call.house.table).current(call.now).name.in_(language)


@privacy.get("/opt-outs/{token}", refuses=(OptOutUnknown,), fault_page=fault_page)
def show_opt_out(token: OptOutToken, query: OptOutShown, call: Call) -> Html:
    """What an opt-out link ends, with a button that does it. It needs no sign-in and runs no script."""
    house = call.house
    asked = opting_out.find_opt_out(house.keyring, token)
    done = query.done and opting_out.is_ended(house.table, house.keyring, asked)
    return Html(opting_out.page_of(house.table, house.keyring, asked, *_reader(call, query.language), done=done))


@privacy.post("/opt-outs/{token}", refuses=(OptOutUnknown,), fault_page=fault_page)
def opt_out(token: OptOutToken, query: OptOutShown, call: Call) -> Html | SeeOther:
    """End messages of a kind by the link of one of them, in one step (RFC 8058). Again changes nothing.

    Whatever is sent along is not looked at. The link does not lapse. The button of the link's page says `pressed`, and
    is led on to a page that a reload only shows.
    """
    house, book = call.house, book_of(call.house.table)
    asked = opting_out.opt_out(house.table, house.keyring, book, token, _counting(call), now=call.now)
    if query.pressed:
        return _leading_on(done="true", language=query.language)
    return Html(opting_out.page_of(house.table, house.keyring, asked, *_reader(call, query.language), done=True))


@privacy.get("/preferences/{token}", refuses=(OptOutUnknown,), fault_page=fault_page)
def show_preferences(token: OptOutToken, query: PreferencesShown, call: Call) -> Html:
    """What a member is sent by which channel, with a button for each that changes it. It runs no script."""
    house, book = call.house, book_of(call.house.table)
    language, program = _reader(call, query.language)
    shown = preferring.find_preferences(house.table, house.keyring, book, token, language, now=call.now)
    return Html(preferring.page_of(shown, program, query if query.saved else None))


@privacy.post("/preferences/{token}", refuses=(OptOutUnknown, ConsentNotOffered), fault_page=fault_page)
def change_preferences(token: OptOutToken, query: PreferenceAsked, call: Call) -> Html | SeeOther:
    """End, or allow, what a member is sent of a topic by a channel; without a topic, end all offers and news.

    It holds when it is answered. By an old link messages can be ended, and not allowed any more. Who asks for pages, as
    browsers do, is led on to the page that shows what came of it; others are given that page at once.
    """
    house, book = call.house, book_of(call.house.table)
    preferring.change_preferences(house.table, house.keyring, book, token, query, _counting(call), now=call.now)
    if call.wants_page:
        return _leading_on(saved="true", purpose=query.purpose, channel=query.channel, language=query.language)
    language, program = _reader(call, query.language)
    shown = preferring.find_preferences(house.table, house.keyring, book, token, language, now=call.now)
    pressed = PreferencesShown(saved=True, purpose=query.purpose, channel=query.channel)
    return Html(preferring.page_of(shown, program, pressed))


def _leading_on(**query: str | None) -> SeeOther:
    """Leads on to the same address, by GET."""
    return SeeOther("?" + urlencode({name: value for name, value in query.items() if value is not None}))


@privacy.post(
    "/templates/{template_id}/previews",
    status=201,
    refuses=(TemplateUnknown, MemberUnknown, PermissionMissing),
)
def preview_template(template_id: TemplateId, body: PreviewTemplate, call: Call) -> PreviewView:
    """What a member would get, or somebody made up; it is sent to nobody.

    The member's name is masked, unless you may unmask and say why, which is kept. Links are somebody's made up.
    """
    house, caller = call.house, call.signed_in
    book = book_of(house.table)
    return previewing.preview(
        house.table, house.keyring, book, template_id, body, by=caller, draw=house.draw, now=call.now
    )
