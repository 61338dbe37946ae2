"""Use case of privacy: show personal data, and never without a record of it."""

import base64
from collections.abc import Callable
from datetime import datetime

from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.members import service as members
from chalicelib.members.models import MemberView
from chalicelib.privacy import store
from chalicelib.privacy.models import MaskedField, PlainValues, Unmask, UnmaskedView, Unmasking, UnmaskingId
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import Table
from chalicelib.storage.words import Words


def unmask(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    member_id: MemberId,
    command: Unmask,
    *,
    by: str,
    draw: Callable[[], int],
    now: datetime,
) -> UnmaskedView:
    """Personal data of a member as they are, once it is written down who saw them and why.

    It takes no key: each time is a showing of its own, and leaves a record of its own.

    Args:
        by: who asks.
        draw: gives random whole numbers, for ids.

    Raises:
        MemberUnknown: there is no such member.
        StorageBusy: the record could not be written; nothing was shown.
    """
    member = members.find_member(table, keyring, book, member_id, now=now, language=Language.EN)
    chance, at = draw(), from_milliseconds(milliseconds(now))
    unmasking = Unmasking(
        unmasking_id=id_of(chance),
        member_id=member.member_id,
        by=by,
        fields=command.fields,
        reason=command.reason,
        at=at,
    )

    table.commit([store.add_unmasking(unmasking, chance & 0xFFFFFFF, Words(table, keyring.contacts))])

    return UnmaskedView(
        unmasking_id=unmasking.unmasking_id,
        member_id=member.member_id,
        values=_values(member, command.fields),
        unmasked_at=at,
    )


def _values(member: MemberView, fields: tuple[MaskedField, ...]) -> PlainValues:
    found = {field.value: getattr(member, field.value) for field in fields}
    if MaskedField.CUSTOM in fields:
        found["custom"] = {name: value for name, value in member.custom.items() if name in member.personal_custom}
    return PlainValues.model_construct(**found)


def id_of(chance: int) -> UnmaskingId:
    """The id of a showing, made of chance."""
    return UnmaskingId("unm_" + base64.b32encode((chance % 2**64).to_bytes(8, "big")).decode().lower().rstrip("="))
