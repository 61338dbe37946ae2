"""HTTP of privacy."""

from chalicelib.api.routing import Call, Routes
from chalicelib.kernel.ids import MemberId
from chalicelib.points.errors import MemberUnknown
from chalicelib.privacy import service
from chalicelib.privacy.models import Unmask, UnmaskedView
from chalicelib.programs.service import book_of

privacy = Routes("privacy")


@privacy.post("/members/{member_id}/unmaskings", status=201, refuses=(MemberUnknown,))
def unmask_member(member_id: MemberId, body: Unmask, call: Call) -> UnmaskedView:
    """Show personal data of a member as they are. Who asked, for what and why is kept."""
    house, caller = call.house, call.caller
    assert caller is not None, "the policy lets nobody in without a token"
    book = book_of(house.table)
    return service.unmask(
        house.table, house.keyring, book, member_id, body, by=caller.subject, draw=house.draw, now=call.now
    )
