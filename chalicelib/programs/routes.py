"""HTTP of the program and its tiers."""

from pydantic import Field

from chalicelib.api.routing import Call, Routes
from chalicelib.kernel.records import Record
from chalicelib.programs import service
from chalicelib.programs.errors import CurrencyFixed, ProgramFieldFixed, ProgramMoved, ProgramVersionUnknown
from chalicelib.programs.models import Program, PublishProgram, Tier

programs = Routes("programs")


class ProgramQuery(Record):
    """Which version of the program."""

    version: int | None = Field(default=None, ge=1, le=10**6)
    """An earlier version; the one in force by default."""


class TierList(Record):
    """The ladder, from the lowest tier to the highest."""

    items: tuple[Tier, ...]
    next_cursor: None = None


@programs.get("/program", refuses=(ProgramVersionUnknown,))
def get_program(query: ProgramQuery, call: Call) -> Program:
    """The program in force, or an earlier version.

    Read from the database itself, so that the next version can follow it. Other processes go on with the version before
    for up to ten seconds after a publication; every entry names the version that it was decided by.
    """
    book = service.book_of(call.house.table)
    return book.version(query.version) if query.version else book.latest(call.now)


@programs.put("/program", refuses=(ProgramMoved, CurrencyFixed, ProgramFieldFixed))
def publish_program(body: PublishProgram, call: Call) -> Program:
    """Put the next version of the program in force.

    What `GET /v1/program` answers can be sent back, with other terms or as it is. Purchases recorded before keep the
    version they were decided by. All processes follow within ten seconds. The currency can be chosen until the first
    purchase is recorded.
    """
    call.require_version(body.version)
    return service.publish_program(call.house.table, service.book_of(call.house.table), body, now=call.now)


@programs.get("/tiers")
def list_tiers(call: Call) -> TierList:
    """The tiers of the program in force, as `GET /v1/program` has it."""
    return TierList(items=service.book_of(call.house.table).latest(call.now).ladder.tiers)
