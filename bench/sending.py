"""A run to be sent, for the benches: members' contact data sealed with keys of their own, a plan, an office, a stub."""

import base64
import json
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.stack import Meter, client, database, folder, keyring_over, make_table
from chalicelib.deliveries import rules, store
from chalicelib.deliveries.models import Outcome, Part, PartMessage, Recipient, Run, RunStatus, Wording
from chalicelib.deliveries.ports import Office
from chalicelib.deliveries.service import parts, reading
from chalicelib.deliveries.service.neighbours import MemberReach, SignedLinks, TemplateWords, appending
from chalicelib.deliveries.service.parts import Ended
from chalicelib.kernel.ids import MemberId, TemplateId
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.pace import Limits, Pacer
from chalicelib.providers.port import Look, everyone
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keyring import Keyring, SealedContacts
from chalicelib.storage.keys import Key
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.vault import MemberKey, TableVault
from chalicelib.storage.writes import Anyway, Put, Write
from chalicelib.templates import store as templates
from chalicelib.templates.models import EmailContent, EmailContents, Template

RUN, TEMPLATE = "crn_aaaaaaaaaaaaaaaa_once", TemplateId("tpl_aaaaaaaaaaaaaaaa")
A_PART, A_CALL = 500, 50
SUBJECT = "{{name}}, your points"
HTML = (
    "<html><body><p>Dear {{name}},</p><p>You have {{points}} points. They are good for coffee, cake and more in all of "
    'our shops.</p><p>Come and see us!</p><p><a href="{{opt_out}}">No more of these</a></p></body></html>'
)
TEXT = (
    "Dear {{name}},\n\nYou have {{points}} points. They are good for coffee, cake and more in all of our shops.\n\n"
    "Come and see us!\n\nNo more of these: {{opt_out}}\n"
)
_KEYS_AT_ONCE = 100


@dataclass
class Stub:
    """A provider that takes everything, fifty at a time, and does nothing with it."""

    name: str = "stub"
    channel: str = "email"
    batch_max: int = A_CALL
    idempotent: bool = False
    taken: int = 0
    characters: int = 0

    def cost_micro(self, outgoing: Outgoing) -> int:  # noqa: ARG002 - the port's shape
        """See `Provider.cost_micro`."""
        return 100

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:  # noqa: ARG002 - one call
        """See `Provider.send`."""
        self.taken += len(batch)
        self.characters += len(batch[0].html)
        return tuple(Result(each.delivery_id, "sent", cost_micro=100) for each in batch)


@dataclass
class Sending:
    """A run that is ready to be sent.

    Attributes:
        meters: of `core`, `ops` and `vault`.
        files: how often files were written and read.
    """

    office: Office
    stub: Stub
    run: Run
    meters: dict[str, Meter]
    files: "Counted"
    pid: int
    dynamo: Dynamo

    def send(self) -> tuple[float, float]:
        """Send all parts, one message after the other; seconds by the clock, and of this process's CPU."""
        began, cpu = time.perf_counter(), time.process_time()
        for number in range(self.run.parts):
            message = PartMessage(run_id=self.run.run_id, part=number)
            ended = parts.work_part(self.office, message, ends_at=datetime.now(UTC) + timedelta(minutes=10))
            assert isinstance(ended, Ended), ended
        took = time.perf_counter() - began, time.process_time() - cpu
        done = reading.progress(self.office.ops, self.run)
        assert done.outcomes == {Outcome.SENT: self.run.planned} and self.stub.taken == self.run.planned, done
        return took


class Counted(FolderObjects):
    """Files in a folder, counted as a bucket bills them."""

    puts = 0
    gets = 0

    def put(self, key: str, content: bytes, *, kind: str) -> None:
        """See `Objects.put`."""
        self.puts += 1
        super().put(key, content, kind=kind)

    def get(self, key: str) -> bytes | None:
        """See `Objects.get`."""
        self.gets += 1
        return super().get(key)


@contextmanager
def sending(recipients: int, *, metered: bool) -> Iterator[Sending]:
    """A run to so many recipients, planned, in a database and a folder of the bench's own."""
    with database() as server, folder() as path, closing(client(server.endpoint)) as dynamo:
        name = make_table(dynamo).removesuffix("core")
        meters = {each: Meter() for each in ("core", "ops", "vault")}
        tables = {each: DynamoTable(dynamo, name + each, meter=meters[each] if metered else None) for each in meters}
        keyring = keyring_over(tables["vault"])
        objects = Counted(path / "archive")
        tables["core"].commit([templates.add_version(_template(), by="stf_bench")])
        run = _planned(recipients, tables, keyring, objects)
        stub = Stub()
        office = Office(
            table=tables["core"], ops=tables["ops"], objects=objects, contacts=keyring.contacts,
            words=TemplateWords(tables["core"]), reach=MemberReach(tables["core"], keyring),
            providers={"email": stub}, pace=Pacer(tables["ops"], {"email": Limits(rate_per_second=100_000)}, "UTC"),
            append=appending(objects, "delivery", lambda: None), worker="bench", clock=lambda: datetime.now(UTC),
            pause=time.sleep, links=SignedLinks(keyring, "https://members.example.com/api", "en"),
            language="en",
        )  # fmt: skip
        for meter in meters.values():
            meter.reset()
        objects.puts = objects.gets = 0
        assert server.process is not None
        yield Sending(office, stub, run, meters, objects, server.process.pid, dynamo)


def _template() -> Template:
    contents = EmailContents(channel="email", en=EmailContent(subject=SUBJECT, html=HTML, text=TEXT))
    now = datetime.now(UTC)
    return Template(
        template_id=TEMPLATE, version=1, name="points", purpose="marketing", contents=contents, created_at=now,
        changed_at=now,
    )  # fmt: skip


def _planned(recipients: int, tables: dict[str, DynamoTable], keyring: Keyring, objects: FolderObjects) -> Run:
    """Keys of members in the vault, parts in the archive, the run in `core`."""
    contacts = keyring.contacts
    assert isinstance(contacts, SealedContacts) and isinstance(contacts.vault, TableVault)
    numbers = range(0, recipients, A_PART)
    for number in numbers:
        some = [_member(each) for each in range(number, min(number + A_PART, recipients))]
        own = {each: MemberKey(1, secrets.token_bytes(32)) for each in some}
        _keep_keys(tables["vault"], contacts.vault, own)
        made = tuple(_recipient(each, own[each], contacts) for each in some)
        content = rules.part_file(Part(RUN, number // A_PART, "email", made))
        objects.put(rules.part_key(RUN, number // A_PART), content, kind="application/gzip")
    now = datetime.now(UTC)
    run = Run(
        RUN, "campaign", "cmp_aaaaaaaaaaaaaaaa", "once", RunStatus.SENDING, "marketing",
        (Wording("a", "email", TEMPLATE, 1),), now - timedelta(hours=25), now + timedelta(days=1), "UTC",
        parts=len(numbers), planned=recipients,
    )  # fmt: skip
    tables["core"].commit([store.add_run(run)])
    return run


def _member(number: int) -> str:
    return MemberId.of(f"{number:012d}")


def _keep_keys(table: DynamoTable, vault: TableVault, made: dict[str, MemberKey]) -> None:
    writes: list[Write] = [
        Put(_place(member), vault._wrapped(member, key), Anyway(), lambda _: LookupError())
        for member, key in made.items()
    ]
    for start in range(0, len(writes), _KEYS_AT_ONCE):
        table.commit(writes[start : start + _KEYS_AT_ONCE])


def _place(member: str) -> Key:
    return keys.member_key(member)


def _recipient(member: str, key: MemberKey, contacts: SealedContacts) -> Recipient:
    contact: dict[str, Any] = {
        "name": "Anna Smith", "mobile": "+447700900123", "email": f"{member}@example.com", "birth_year": 1990,
    }  # fmt: skip
    plain = json.dumps(contact, separators=(",", ":"), ensure_ascii=False).encode()
    sealed = base64.b64encode(contacts.sealed_with(key, member, plain)).decode()
    return Recipient(member, 1, "en", "a", sealed, {"points": "1,280"})
