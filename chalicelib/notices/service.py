"""Use case of notices: tell a member what happened."""

import base64
import hashlib

from chalicelib.consents.models import ContactChannel
from chalicelib.kernel.ids import MemberId, is_member
from chalicelib.kernel.languages import Language
from chalicelib.members import store as members_store
from chalicelib.members.events import MemberContactChanged
from chalicelib.notices import rules, store
from chalicelib.notices.models import CONSENT_PURPOSE, Channel, Notice
from chalicelib.notices.sender import Sender
from chalicelib.points.models import AccountStatus
from chalicelib.programs.models import Program
from chalicelib.reach.links import PATH, OptOut, in_language, token_of
from chalicelib.relay.models import Event
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import Table


def tell(
    table: Table,
    ops: Table,
    keyring: Keyring,
    program: Program,
    sender: Sender,
    event: Event,
    *,
    links_at: str | None = "",
) -> Notice | None:
    """Tell a member what an event says, in their language; None when there is nobody to tell, or nothing.

    The member is read now, not when the event was made: who has withdrawn since is not told any more. That a mobile
    number or e-mail address was changed is told to the one before; of two that were changed, each is told.

    Args:
        ops: where it is kept what was told.
        links_at: where people reach the API, `https://…`; links have only a path without it. None: there is no key that
            links are signed with, so notices have none.

    Raises:
        Trouble: it could not be sent; the same event again sends the same notice.
    """
    told_at_all = rules.worded(event.data, program, program.language) is not None
    if not told_at_all or event.member_id is None or not is_member(event.member_id):
        return None
    item, account = members_store.find_items(table, event.member_id, consistent=True)
    if item is None or account is None or account["status"] in (AccountStatus.CLOSED, AccountStatus.MERGED):
        return None
    profile = members_store.profile_from(item, keyring)
    language = profile.language or program.language
    words = rules.worded(event.data, program, language)
    assert words is not None
    if isinstance(event.data, MemberContactChanged):
        # Nobody opts out of being told that.
        told = rules.told_of_change(profile, event.data, event.recorded_at)
        notices = [_notice(event, address, words, language, "") for address in told]
    else:
        address = rules.address_of(profile)
        notices = []
        if address is not None:
            opt_out = ""
            if links_at is not None:
                opt_out = links_at + _opt_out(event, address[0], keyring) + in_language(language, program.language)
            notices = [_notice(event, address, words, language, opt_out)]
    for notice in notices:
        sender.send(notice)
        ops.commit([store.keep_notice(notice, item["member_id"])])
    return notices[0] if notices else None


def _notice(
    event: Event, address: tuple[Channel, str], words: tuple[str, str], language: Language, opt_out: str
) -> Notice:
    assert event.member_id is not None
    channel, to = address
    digest = hashlib.sha256(f"regulars delivery\n{event.event_id}\n{channel.value}".encode()).digest()
    return Notice(
        delivery_id="dlv_" + base64.b32encode(digest[:20]).decode().lower(),
        member_id=MemberId(event.member_id),
        event_id=event.event_id,
        event_type=event.type,
        channel=channel,
        to=to,
        language=language,
        subject=words[0] if channel is Channel.EMAIL else "",
        text=words[1],
        at=event.recorded_at,
        opt_out=opt_out,
    )


def _opt_out(event: Event, channel: Channel, keyring: Keyring) -> str:
    """The path of the link that ends notices by this channel."""
    opt_out = OptOut(
        MemberId(str(event.member_id)), CONSENT_PURPOSE, ContactChannel(channel.value), event.recorded_at.date()
    )
    return PATH + token_of(opt_out, keyring)
