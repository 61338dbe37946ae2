"""A backup restored elsewhere is the same ledger, whatever is killed; one that was changed is refused by name."""

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chalicelib.kernel.ids import MemberId
from chalicelib.lake import duck
from chalicelib.lake import service as lake_service
from chalicelib.lake import store as lake_store
from chalicelib.members import store as members_store
from chalicelib.points import store as points_store
from chalicelib.privacy.models import EraseMember, ErasureReason
from chalicelib.privacy.service import erasing
from chalicelib.privacy.service.erasing import erase_member, find_blockers
from chalicelib.programs.service import book_of
from chalicelib.runtime.wiring import House, utc_now
from chalicelib.storage import keys
from chalicelib.storage.dynamo import marshalled
from chalicelib.storage.keyring import SealedContacts
from chalicelib.storage.places import Place
from chalicelib.storage.signing import FileSigner
from local.backup import making, restoring
from local.backup.erased import FileRegister, Nobody, register_of
from local.backup.form import (
    MANIFEST,
    VAULT,
    BackupBroken,
    Manifest,
    file_digest,
    find_manifest,
    items_in,
    line_of,
    place,
    put_manifest,
)
from local.backup.making import client
from local.backup.restoring import MARK, NotRestored
from local.backup.trust import trusted_keys
from local.demo.history import history
from local.erase_again import places_of
from local.keys import ensure_keys, ensure_signing_key
from local.lake_rebuild import rebuilt
from local.runs import RunLock
from local.settings import AUDIENCE, ISSUER, ROOT, Settings
from local.verify import verified
from tests.backup.conftest import DAY, PART_BYTES, SIZE, Shop, house_of, served
from tests.local.stand import PLAIN
from tests.makers import Api, Clock
from tests.table.stand import scan

PEOPLE = [life.person for life in history(SIZE, DAY)]


# ---------------------------------------------------------------- the same


def answers(chosen: Settings) -> list[Any]:
    """What the API says of some members."""
    token_key = bytes.fromhex(ensure_keys(chosen.keys_file)["token_key"])
    with house_of(chosen):
        api = Api(Clock(utc_now()), token_key, ISSUER, AUDIENCE)
        paths = [
            f"/v1/members/{person.member_id}{below}"
            for person in PEOPLE[:4]
            for below in ("", "/points", "/timeline", "/purchases")
        ]
        return [(reply.status, reply.json) for reply in map(api.get, paths)]


def test_a_restored_ledger_has_the_same_root_and_gives_the_same_answers(shop: Shop, tmp_path: Path) -> None:
    chosen = shop.restored(tmp_path / "other")
    assert answers(chosen) == answers(shop.chosen)
    with served(chosen) as here, served(shop.chosen) as source:
        assert verified(here)
        ours, theirs = client(here, here.dynamodb_endpoint or ""), client(source, source.dynamodb_endpoint or "")
        for table in ("core", "vault"):
            assert scan(ours, f"regulars-{table}") == scan(theirs, f"regulars-{table}")
        streams = [ours.call("DescribeTable", {"TableName": "regulars-core"})["Table"].get("StreamSpecification")]
    assert streams == [{"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}]
    assert shop.manifest.instant and shop.manifest.ledger is not None and shop.manifest.ledger.faulty == 0


def lake_of(house: House, chosen: Settings) -> tuple[dict[str, int], list[tuple[str, int]]]:
    """What the lake has: how many rows each view shows, and every purchase with what was paid."""
    place, now = Place(str(chosen.archive), scratch=str(chosen.data_dir / "lake"), memory_mb=256), utc_now()
    head, today = lake_store.find_head(house.ops), lake_service.today_of(book_of(house.table), now)
    with duck.opened(place, head, today=today, now=now) as con:
        paid = con.execute("SELECT purchase_id, paid_minor FROM purchases ORDER BY ALL").fetchall()
    return lake_service.counts(place, head, today=today, now=now), paid


def test_a_restored_place_has_a_lake_of_every_purchase(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = shop.restored(tmp_path / "other")
    said = capsys.readouterr().out
    parts = (place(shop.backup, shop.backup / VAULT, part.name) for part in shop.manifest.tables["core"].parts)
    bought = [
        int(item["m"]["N"])
        for path in parts
        for item in items_in(path)
        if item["pk"]["S"].startswith("O#") and item["sk"]["S"] == "O"
    ]
    with house_of(chosen) as house:
        counts, paid = lake_of(house, chosen)
        assert sorted(amount for _, amount in paid) == sorted(bought)
        assert counts["purchases"] == len(bought) > SIZE
        assert counts["members"] == SIZE
        assert f"{counts['members']:,} members, {counts['purchases']:,} purchases" in said
        assert "Which messages were sent is not in a backup" in said
        again, _ = rebuilt(chosen, house, shop.backup)
        assert (again, lake_of(house, chosen)) == (counts, (counts, paid)), "from the backup itself, too"


def test_nobody_else_on_the_machine_can_look_into_a_backup(shop: Shop, tmp_path: Path) -> None:
    out, vault = tmp_path / "a" / "b", tmp_path / "keys" / "vault"
    before = os.umask(0o022)
    try:
        making.backed_up(shop.chosen, out, vault, part_bytes=PART_BYTES)
    finally:
        os.umask(before)
    made = [out.parent, vault.parent, *out.parent.rglob("*"), *vault.parent.rglob("*")]
    assert len(made) > 10
    assert {oct(each.stat().st_mode & 0o777) for each in made if each.is_dir()} == {"0o700"}
    assert {oct(each.stat().st_mode & 0o777) for each in made if each.is_file()} == {"0o600"}


def test_nothing_that_happened_is_told_again(shop: Shop, tmp_path: Path) -> None:
    chosen = shop.restored(tmp_path / "other")
    with closing(sqlite3.connect(chosen.data_dir / "dynamo.db")) as database:
        assert database.execute("SELECT count(*) FROM _stream_records").fetchone() == (0,)


def test_of_ops_what_lapses_is_left_out() -> None:
    day = DAY
    attempt = keys.job_attempt("birthday", day, 1, dry_run=False)
    stays = [keys.job_head("birthday"), keys.job_run("birthday", day, dry_run=False), keys.consumer_turn("n", "mem_1")]
    lapses = [
        keys.job_count(attempt, 3), keys.job_part(attempt, "1"), keys.job_found(attempt, "1"), keys.line_refusal("t"),
        keys.otp_number("mobile", "x"), keys.otp_request("r"), keys.otp_count("ip", "x", "w"), *keys.otp_pressure("w"),
        keys.session("mem_1", "s"), keys.integration_rate("key_a", 1),
    ]  # fmt: skip
    taken = [key for key in [*stays, *lapses] if making.survives("ops", {"pk": {"S": key.pk}, "sk": {"S": key.sk}})]
    assert taken == stays


def test_a_backup_taken_while_others_write_shows_one_instant(shop: Shop, tmp_path: Path) -> None:
    chosen = shop.restored(tmp_path / "busy")
    token_key = bytes.fromhex(ensure_keys(chosen.keys_file)["token_key"])
    member, stopped = PEOPLE[0].member_id, threading.Event()
    given: list[int] = []

    def write() -> None:
        api = Api(Clock(utc_now()), token_key, ISSUER, AUDIENCE)
        while not stopped.is_set():
            body = {"points": 1, "reason_code": "goodwill"}
            reply = api.post(f"/v1/members/{member}/point-adjustments", body, key=f"k{len(given)}")
            given.append(reply.status)

    with house_of(chosen):
        writer = threading.Thread(target=write)
        writer.start()
        while len(given) < 3:
            time.sleep(0.01)
        try:
            manifest = making.backed_up(chosen, tmp_path / "backup", tmp_path / "backup" / VAULT)
        finally:
            stopped.set()
            writer.join()
    assert set(given) == {201}
    assert manifest.instant and manifest.ledger is not None
    before = shop.manifest.ledger
    assert before is not None
    assert manifest.ledger.faulty == 0 and before.entries < manifest.ledger.entries < before.entries + len(given)
    other = shop.elsewhere(tmp_path / "other")
    assert restoring.restored(other, tmp_path / "backup", tmp_path / "backup" / VAULT, Nobody()) == []


# ---------------------------------------------------------------- killed


def _killed_when(ready: Callable[[], bool], verb: str, *arguments: str, data_dir: Path) -> None:
    """Start a verb, and kill it (-9) as soon as it is so far."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local", verb, *arguments], cwd=ROOT, env=PLAIN | {"DATA_DIR": str(data_dir)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not ready():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_restore_that_was_killed_goes_on_to_the_same(shop: Shop, tmp_path: Path) -> None:
    chosen = shop.elsewhere(tmp_path / "other")
    mark = chosen.data_dir / MARK

    def half_way() -> bool:
        return mark.exists() and len(json.loads(mark.read_text())["parts"]) >= 2

    _killed_when(half_way, "restore", "--from", str(shop.backup), "--register", "none", data_dir=chosen.data_dir)
    assert json.loads(mark.read_text())["finished"] is False
    assert restoring.restored(chosen, shop.backup, shop.backup / VAULT, Nobody()) == []
    assert answers(chosen) == answers(shop.chosen)


def test_a_backup_that_was_killed_goes_on_with_the_same_instant(shop: Shop, tmp_path: Path) -> None:
    out = tmp_path / "backup"

    def half_way() -> bool:
        return any(out.glob(".work/core-*.json"))

    _killed_when(half_way, "backup", "--out", str(out), data_dir=shop.chosen.data_dir)
    assert not (out / MANIFEST).exists()
    began = json.loads((out / ".work" / "began.json").read_text())
    manifest = making.backed_up(shop.chosen, out, out / VAULT, part_bytes=PART_BYTES)
    assert manifest.taken_at == began
    assert manifest.ledger == shop.manifest.ledger
    assert {name: table.items for name, table in manifest.tables.items()} == {
        name: table.items for name, table in shop.manifest.tables.items()
    }
    assert not (out / ".work").exists()


# ---------------------------------------------------------------- changed


def _rewritten(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(change(lines)), 6, mtime=0))


def _flip(backup: Path, part: Path) -> str:
    raw = bytearray(part.read_bytes())
    raw[len(raw) // 2] ^= 1
    part.write_bytes(raw)
    return f"{part.name} is not the file"


def _drop_a_line(backup: Path, part: Path) -> str:
    _rewritten(part, lambda lines: lines[1:])
    return part.name


def _reorder_lines(backup: Path, part: Path) -> str:
    _rewritten(part, lambda lines: lines[::-1])
    return part.name


def _drop_a_part(backup: Path, part: Path) -> str:
    part.unlink()
    return f"{part.name} is missing"


def _exchange_parts(backup: Path, part: Path) -> str:
    other = next(each for each in sorted(part.parent.iterdir()) if each != part)
    aside = part.with_name("aside")
    part.rename(aside), other.rename(part), aside.rename(other)
    return part.name


def _add_a_part(backup: Path, part: Path) -> str:
    shutil.copy(part, part.with_name("99-0000.jsonl.gz"))
    return "99-0000.jsonl.gz is not in the manifest"


def _change_the_manifest_too(backup: Path, part: Path) -> str:
    _drop_a_line(backup, part)
    signed = json.loads((backup / MANIFEST).read_text())
    said = json.loads(signed["text"])
    for each in said["tables"]["core"]["parts"]:
        if each["name"].endswith(part.name):
            each |= {"sha256": file_digest(part), "size": part.stat().st_size, "lines": each["lines"] - 1}
    signed["text"] = json.dumps(said, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    (backup / MANIFEST).write_text(json.dumps(signed))
    return "the signature over 'regulars backup 1' is not that of key"


def _sign_it_with_another_key(backup: Path, part: Path) -> str:
    signed = json.loads((backup / MANIFEST).read_text())
    manifest = Manifest.model_validate_json(signed["text"])
    ensure_signing_key(backup / "key.pem")
    put_manifest(backup, manifest, FileSigner(backup / "key.pem"))
    return "which is not among the keys"


def _no_manifest(backup: Path, part: Path) -> str:
    (backup / MANIFEST).unlink()
    return "it is no backup, or one that was not finished"


_WITH_PARTS = (_flip, _drop_a_line, _reorder_lines, _drop_a_part, _exchange_parts, _add_a_part)
_WITH_THE_MANIFEST = (_change_the_manifest_too, _sign_it_with_another_key, _no_manifest)
_TAMPERED = [
    *((tamper, table) for tamper in _WITH_PARTS for table in ("core", VAULT)),
    *((tamper, "core") for tamper in _WITH_THE_MANIFEST),
]


@pytest.mark.parametrize(("tamper", "table"), _TAMPERED, ids=lambda each: getattr(each, "__name__", each))
def test_a_backup_that_was_changed_is_refused_by_name(
    shop: Shop, tmp_path: Path, tamper: Callable[[Path, Path], str], table: str
) -> None:
    backup, chosen = shop.copied(tmp_path / "copy"), shop.elsewhere(tmp_path / "other")
    part = max((backup / table).iterdir(), key=lambda each: each.stat().st_size)
    named = tamper(backup, part)
    with pytest.raises(BackupBroken, match=re.escape(named)):
        restoring.restored(chosen, backup, backup / VAULT, Nobody())
    assert not (chosen.data_dir / "dynamo.db").exists()


def test_a_ledger_that_was_changed_before_it_was_signed_is_told_by_its_root(shop: Shop, tmp_path: Path) -> None:
    backup, chosen = shop.copied(tmp_path / "copy"), shop.elsewhere(tmp_path / "other")
    manifest, _ = find_manifest(backup, trusted_keys(chosen))
    ledger = manifest.ledger
    assert ledger is not None
    wrong = manifest.model_copy(update={"ledger": ledger.model_copy(update={"heads": "00" * 32})})
    put_manifest(backup, wrong, FileSigner(shop.chosen.signing_key_file))
    faults = restoring.restored(chosen, backup, backup / VAULT, Nobody())
    assert faults == [f"heads is {ledger.heads}, in the backup it was {'00' * 32}"]


# ---------------------------------------------------------------- where it may go


def test_it_goes_into_an_empty_folder_with_the_backups_keys_that_nobody_uses(shop: Shop, tmp_path: Path) -> None:
    def refused(chosen: Settings) -> str:
        with pytest.raises(NotRestored) as why:
            restoring.restored(chosen, shop.backup, shop.backup / VAULT, Nobody())
        return str(why.value)

    full = shop.restored(tmp_path / "full")
    assert "is not empty" in refused(full)
    assert restoring.restored(full, shop.backup, shop.backup / VAULT, Nobody(), anyway=True) == []

    other = shop.elsewhere(tmp_path / "other")
    lock = RunLock(other.data_dir)
    lock.take()
    assert "is in use" in refused(other)
    lock.release()
    other.keys_file.unlink()
    assert "keys.json is missing" in refused(other)
    ensure_keys(other.keys_file)
    assert "another index key" in refused(other)
    (other.data_dir / "signing_key.pem").unlink()
    with pytest.raises(BackupBroken, match="there are no keys among those given"):
        restoring.restored(other, shop.backup, shop.backup / VAULT, Nobody())


def test_the_wrapped_keys_may_be_kept_elsewhere(shop: Shop, tmp_path: Path) -> None:
    backup, apart, chosen = shop.copied(tmp_path / "copy"), tmp_path / "safe", shop.elsewhere(tmp_path / "other")
    (backup / VAULT).rename(apart)
    command = [sys.executable, "-m", "local", "restore", "--from", str(backup), "--register", "none"]
    env = PLAIN | {"DATA_DIR": str(chosen.data_dir), "WORKERS": "1"}
    found = subprocess.run(command, cwd=ROOT, env=env, text=True, capture_output=True, check=False)
    assert (found.returncode, "vault/" in found.stderr, "is missing" in found.stderr) == (2, True, True)
    command += ["--vault", str(apart)]
    found = subprocess.run(command, cwd=ROOT, env=env, text=True, capture_output=True, check=False)
    assert found.returncode == 0 and "It is the same ledger, to the root." in found.stdout


def test_a_second_backup_does_not_go_over_the_first(shop: Shop) -> None:
    with pytest.raises(BackupBroken, match="there is a backup"):
        making.backed_up(shop.chosen, shop.backup, shop.backup / VAULT)


# ---------------------------------------------------------------- whose data it is


def test_who_was_erased_since_stays_erased(shop: Shop, tmp_path: Path) -> None:
    chosen, gone = shop.elsewhere(tmp_path / "other"), PEOPLE[2].member_id
    told: list[str] = []
    # An earlier try did not know of it yet.
    assert restoring.restored(chosen, shop.backup, shop.backup / VAULT, Nobody()) == []
    register = tmp_path / "erasures.jsonl"
    register.write_text(json.dumps({"member_id": gone, "erased_at": "2026-11-20T10:00:00Z"}) + "\n")
    assert restoring.restored(
        chosen, shop.backup, shop.backup / VAULT, FileRegister(register), anyway=True,
        again=lambda _, erased: told.extend(each.member_id for each in erased),
    ) == []  # fmt: skip
    assert told == [gone]
    with served(chosen) as here:
        dynamo = client(here, here.dynamodb_endpoint or "")
        assert keys.member_key(gone) not in scan(dynamo, "regulars-vault")
        assert keys.member_key(PEOPLE[0].member_id) in scan(dynamo, "regulars-vault")
        holders = {item["member_id"] for key, item in scan(dynamo, "regulars-core").items() if key.sk == "U"}
        assert gone not in holders and PEOPLE[0].member_id in holders
    with house_of(chosen) as house:
        sealed = house.table.get(keys.profile(gone))
        assert sealed is not None and house.keyring.contacts.open(gone, sealed["contact"]) == {}


def erased_after_the_backup(shop: Shop, folder: Path) -> tuple[str, Path]:
    """Somebody whose points and purchases are in the backup and who was erased since; and the register that says so."""
    chosen = shop.restored(folder)
    command = EraseMember(reason=ErasureReason.ASKED, forfeit=True)
    with house_of(chosen) as house:
        for person in PEOPLE:
            member_id, places = MemberId(person.member_id), places_of(house)
            account = points_store.find_account(house.table, member_id)
            assert account is not None
            if account.seq > 2 and not find_blockers(places, account, command, now=utc_now()):
                erase_member(places, member_id, command, by="stf_a", now=utc_now())
                return member_id, chosen.roots / "erasures"
    raise AssertionError("the demo has nobody who can be erased")


def gone_from(house: House, member_id: str) -> None:
    """See that nothing is left of somebody but their books."""
    item, account = members_store.find_items(house.table, MemberId(member_id), consistent=True)
    assert item is not None and account is not None
    assert members_store.is_erased(item)
    assert account["status"] == "closed"
    assert erasing.find_erasure(house.roots, MemberId(member_id)) is not None, "the new place knows of it, too"
    contacts = house.keyring.contacts
    assert isinstance(contacts, SealedContacts)
    assert contacts.vault.find(member_id) is None


def test_a_restore_erases_again_by_itself_who_was_erased_after_the_backup(shop: Shop, tmp_path: Path) -> None:
    member_id, register = erased_after_the_backup(shop, tmp_path / "first")
    other = shop.elsewhere(tmp_path / "other")
    assert restoring.restored(other, shop.backup, shop.backup / VAULT, register_of(str(register))) == []
    with house_of(other) as house:
        gone_from(house, member_id)
        assert house.table.get(keys.profile(PEOPLE[-1].member_id)) is not None
    with served(other) as here:
        assert verified(here), "the books hold, the erased one's among them"
    # The register that it wrote is good for the next restore.
    third = shop.elsewhere(tmp_path / "third")
    assert restoring.restored(third, shop.backup, shop.backup / VAULT, register_of(str(other.roots / "erasures"))) == []
    with house_of(third) as house:
        gone_from(house, member_id)


def test_a_restore_that_is_killed_among_the_erasures_completes_them(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member_id, register = erased_after_the_backup(shop, tmp_path / "first")
    other = shop.elsewhere(tmp_path / "other")

    class Killed(BaseException):
        pass

    def dies(*_: Any, **__: Any) -> None:
        raise Killed

    asked = (other, shop.backup, shop.backup / VAULT, register_of(str(register)))
    with monkeypatch.context() as patch:
        patch.setattr(members_store, "erase_profile", dies)  # after the account was closed and the key was gone
        with pytest.raises(Killed):
            restoring.restored(*asked)
    assert json.loads((other.data_dir / MARK).read_text())["finished"] is False
    assert restoring.restored(*asked) == []
    with house_of(other) as house:
        gone_from(house, member_id)
    with served(other) as here:
        assert verified(here)


def test_a_register_of_which_a_file_cannot_be_read_restores_nothing(shop: Shop, tmp_path: Path) -> None:
    other, register = shop.elsewhere(tmp_path / "other"), tmp_path / "erasures"
    register.mkdir()
    (register / "mem_a.json").write_text("{}")
    with pytest.raises(ValueError, match="member_ids"):
        restoring.restored(other, shop.backup, shop.backup / VAULT, register_of(str(register)))
    assert not (other.data_dir / "dynamo.db").exists()


@pytest.mark.parametrize("said", ['{"member_ids": ["mem_x"]}', "nonsense", None])
def test_a_register_that_is_none_is_refused_in_a_sentence(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str | None
) -> None:
    chosen, register = shop.elsewhere(tmp_path / "other"), tmp_path / "register"
    if said is not None:
        register.write_text(said + "\n")
    monkeypatch.setattr(restoring, "settings", lambda: chosen)
    assert restoring.main(["--from", str(shop.backup), "--register", str(register)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("✗ ") and str(register) in line
    assert "pydantic" not in line


def test_a_backup_is_worth_nothing_of_personal_data_without_the_keys(shop: Shop) -> None:
    marks = {
        value
        for person in PEOPLE
        for name, value in person.enrolment.items()
        if name in ("name", "mobile", "email", "card_no")
    }
    secrets = [shop.chosen.vault_key_file.read_text().strip(), *ensure_keys(shop.chosen.keys_file).values()]
    assert len(marks) >= SIZE
    wanted = {mark.encode() for mark in marks} | {json.dumps(mark).strip('"').encode() for mark in marks}
    wanted |= {each.encode() for each in secrets} | {bytes.fromhex(each) for each in secrets}
    for path in shop.backup.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            text = gzip.decompress(raw) if path.suffix == ".gz" else raw
            assert [each for each in wanted if each in text or each in raw] == [], path.name
    assert b"PROFILE" in b"".join(gzip.decompress(path.read_bytes()) for path in shop.backup.glob("core/*.gz"))


# ---------------------------------------------------------------- exports of AWS'


def test_exports_of_aws_become_a_backup_and_a_changed_one_does_not(shop: Shop, tmp_path: Path) -> None:
    exports = _exported(shop, tmp_path / "exports")
    manifest = making.from_exports(shop.chosen, exports, tmp_path / "made", tmp_path / "made" / VAULT)
    assert manifest.instant and manifest.ledger is None and manifest.stack == "regulars-prod"
    assert manifest.taken_at == 1_763_164_800_000
    chosen = shop.elsewhere(tmp_path / "other")
    assert restoring.restored(chosen, tmp_path / "made", tmp_path / "made" / VAULT, Nobody()) == []
    assert answers(chosen) == answers(shop.chosen)

    data = next(exports.rglob("data/*.gz"))
    data.write_bytes(data.read_bytes()[:-1] + b"\xff")
    with pytest.raises(BackupBroken, match="is not the file that the export's manifest names"):
        making.from_exports(shop.chosen, exports, tmp_path / "bad", tmp_path / "bad" / VAULT)
    data.unlink()
    with pytest.raises(BackupBroken, match="is missing"):
        making.from_exports(shop.chosen, exports, tmp_path / "worse", tmp_path / "worse" / VAULT)


def test_an_export_of_the_vault_must_not_be_older_than_that_of_core(shop: Shop, tmp_path: Path) -> None:
    exports = _exported(shop, tmp_path / "exports")
    summary = next(exports.glob("vault/**/manifest-summary.json"))
    summary.write_text(summary.read_text().replace("2025-11-15T00:00:00", "2025-11-14T23:59:59"))
    with pytest.raises(BackupBroken, match="must be exported after core"):
        making.from_exports(shop.chosen, exports, tmp_path / "made", tmp_path / "made" / VAULT)
    next(exports.glob("ops/**/manifest-summary.json")).unlink()
    with pytest.raises(BackupBroken, match="one export of each"):
        making.from_exports(shop.chosen, exports, tmp_path / "made", tmp_path / "made" / VAULT)


def _exported(shop: Shop, folder: Path) -> Path:
    """The backup's items as ExportTableToPointInTime lays them out in a bucket."""
    for number, (table, record) in enumerate(shop.manifest.tables.items()):
        below = f"{table}/AWSDynamoDB/0176316480000{number}-abc"
        (folder / below / "data").mkdir(parents=True)
        items = [item for part in record.parts for item in items_in(place(shop.backup, shop.backup / VAULT, part.name))]
        entries = []
        for at, some in enumerate((items[::2], items[1::2])):
            key = f"{below}/data/f{number}{at}.json.gz"
            raw = gzip.compress("".join(json.dumps({"Item": item}) + "\n" for item in some).encode())
            (folder / key).write_bytes(raw)
            md5 = base64.b64encode(hashlib.md5(raw, usedforsecurity=False).digest()).decode()
            entries.append({"itemCount": len(some), "md5Checksum": md5, "etag": "x", "dataFileS3Key": key})
        (folder / below / "manifest-files.json").write_text("".join(json.dumps(each) + "\n" for each in entries))
        summary = {
            "tableArn": f"arn:aws:dynamodb:ap-southeast-1:000000000000:table/regulars-prod-{table}",
            "exportTime": "2025-11-15T00:00:00.000Z", "itemCount": len(items), "outputFormat": "DYNAMODB_JSON",
            "manifestFilesS3Key": f"{below}/manifest-files.json",
        }  # fmt: skip
        (folder / below / "manifest-summary.json").write_text(json.dumps(summary))
    return folder


def test_a_line_is_what_was_stored() -> None:
    item = {"pk": marshalled("M#1"), "n": marshalled(12), "b": marshalled(b"\0\1"), "t": marshalled("拿铁")}
    assert json.loads(line_of(item)) == {"Item": item}
