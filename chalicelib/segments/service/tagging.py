"""Give tags to members who come into a segment, and take them from those who leave."""

from datetime import datetime

from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import MemberId
from chalicelib.members import service as members
from chalicelib.members import store as members_store
from chalicelib.members.errors import MemberMoved
from chalicelib.members.models import EditMember
from chalicelib.points.errors import MemberClosed, MemberErased, MemberUnknown
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import Table

TAGS_MAX = 50
ATTEMPTS_MAX = 8


def retag_member(
    table: Table, keyring: Keyring, book: ProgramBook, member_id: MemberId, tag: str, *, given: bool, now: datetime
) -> bool:
    """Give a member a tag or take it away; whether anything changed.

    What is so already changes nothing, nor does what cannot be: a member who is closed or gone, or who has all the tags
    that there can be.

    Raises:
        WriteContended: others kept changing the member; safe to try again.
    """
    for _ in range(ATTEMPTS_MAX):
        item, _ = members_store.find_items(table, member_id, consistent=True)
        if item is None or members_store.is_erased(item):
            return False
        before = tuple(item.get("tags", ()))
        after = (*before, tag) if given else tuple(each for each in before if each != tag)
        if (tag in before) == given or len(after) > TAGS_MAX:
            return False
        command = EditMember(version=item["version"], tags=after)
        try:
            language = book.current(now).language
            members.edit_member(table, keyring, book, member_id, command, now=now, language=language)
        except MemberMoved:
            continue
        except (MemberClosed, MemberErased, MemberUnknown):
            return False
        return True
    raise WriteContended
