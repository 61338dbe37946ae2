"""Receipts, and the script that checks them without us."""

import base64
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.ids import EntryId
from chalicelib.points import store as points_store
from chalicelib.points.errors import EntryUnknown
from chalicelib.proof import service
from chalicelib.proof.models import Receipt
from chalicelib.proof.service import Roots
from chalicelib.storage import keys
from chalicelib.storage.signed import ServiceFault, SignedClient, Unreachable
from chalicelib.storage.signing import FileSigner, KmsSigner, PublicKey, public_from, raw_signature
from local.keys import ensure_signing_key
from local.verify import _tell_cover, _tell_faults, check_receipt, roots_in_order
from tests.proof.world import World, a_full_member

TODAY = date(2026, 3, 16)
script = check_receipt()


def receipt_of(world: World, member: str, number: int) -> Receipt:
    """The receipt of a member's entry."""
    assert world.yard.roots is not None
    assert world.yard.signer is not None
    entry_id = keys.entry_id(world.of(member)[number])
    return service.find_receipt(world.desk.table, world.yard.roots, world.yard.signer, entry_id, now=world.desk.clock())


def keys_of(world: World) -> list[dict[str, Any]]:
    """The public keys, as callers get them."""
    assert world.yard.roots is not None
    assert world.yard.signer is not None
    return [key.model_dump() for key in service.list_receipt_keys(world.yard.roots, world.yard.signer).items]


def covered(world: World) -> str:
    """A member whose entries are under a root, among others, and who has one more since."""
    member = a_full_member(world.desk)
    for _ in range(4):
        a_full_member(world.desk)
    world.desk.clock.at("2026-03-16")
    world.run(TODAY)
    world.desk.clock.forward(hours=1)
    world.desk.spend(member, 1, key="since")
    return member


def test_a_receipt_before_the_next_root_is_our_word_alone(world: World) -> None:
    member = a_full_member(world.desk)
    receipt = receipt_of(world, member, 0)
    assert receipt.anchor is None
    lines = script.check(receipt.model_dump(mode="json"), keys_of(world))
    assert "No daily root covers it yet" in lines[-1]


def test_every_entry_leads_to_the_first_root_after_it(world: World) -> None:
    member = covered(world)
    entries = world.desk.entries(member)
    for number, entry in enumerate(entries[:-1]):
        receipt = receipt_of(world, member, number)
        assert receipt.anchor is not None
        assert len(receipt.anchor.links) == len(entries) - 2 - number
        lines = script.check(receipt.model_dump(mode="json"), keys_of(world))
        assert lines[0].startswith(f"Entry {entry.seq} of {member}")
        assert "under the root of 2026-03-16" in "".join(lines)
    assert receipt_of(world, member, -1).anchor is None, "it was written after the root"


def test_a_later_root_covers_what_the_first_did_not(world: World) -> None:
    member = covered(world)
    world.desk.clock.at("2026-03-17")
    world.run(date(2026, 3, 17))
    receipt = receipt_of(world, member, -1)
    assert receipt.anchor is not None
    assert json.loads(receipt.anchor.root.text)["day"] == "2026-03-17"
    assert json.loads(receipt_of(world, member, 0).anchor.root.text)["day"] == "2026-03-16"  # type: ignore[union-attr]


def test_whatever_is_changed_in_a_receipt_no_longer_holds(world: World) -> None:
    receipt = receipt_of(world, covered(world), 2).model_dump(mode="json")
    known = keys_of(world)
    script.check(receipt, known)

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(value[0]), *value[1:]] if value else ["L" + "00" * 32]
        if isinstance(value, int):
            return value + 1
        at = len(value) // 2
        return value[:at] + ("0" if value[at] != "0" else "1") + value[at + 1 :]

    def places(part: dict[str, Any], *way: str) -> list[tuple[str, ...]]:
        found = []
        for name, value in part.items():
            found += places(value, *way, name) if isinstance(value, dict) else [(*way, name)]
        return found

    for way in places(receipt):
        forged = json.loads(json.dumps(receipt))
        place = forged
        for name in way[:-1]:
            place = place[name]
        place[way[-1]] = changed(place[way[-1]])
        with pytest.raises((script.Wrong, ValueError, KeyError)):
            script.check(forged, known)


def test_a_receipt_signed_by_somebody_else_does_not_hold(world: World, tmp_path: Path) -> None:
    ensure_signing_key(tmp_path / "other.pem")
    other = FileSigner(tmp_path / "other.pem")
    member = covered(world)
    theirs = replace(world.yard, signer=other)
    known = keys_of(world)
    world.yard = theirs
    receipt = receipt_of(world, member, 0).model_dump(mode="json")
    with pytest.raises(script.Wrong, match="not among the keys"):
        script.check(receipt, known[:1])
    receipt["statement"]["key_id"] = known[0]["key_id"]
    with pytest.raises(script.Wrong, match="is not that of key"):
        script.check(receipt, known[:1])


@pytest.mark.parametrize("given", ["[]", '{"items": []}'])
def test_a_list_without_keys_is_no_proof_of_who_signed(
    world: World, tmp_path: Path, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt, keys_file = tmp_path / "receipt.json", tmp_path / "keys.json"
    receipt.write_text(receipt_of(world, covered(world), 0).model_dump_json())
    keys_file.write_text(given)
    assert script.main([str(receipt), "--keys", str(keys_file)]) == 1
    assert "there are no keys among those given" in capsys.readouterr().out
    assert script.main([str(receipt)]) == 0
    keys_file.write_text(json.dumps(keys_of(world)))
    assert script.main([str(receipt), "--keys", str(keys_file)]) == 0


def test_after_a_change_of_keys_old_receipts_and_roots_still_check(world: World, tmp_path: Path) -> None:
    member = covered(world)
    old = receipt_of(world, member, 0).model_dump(mode="json")
    first = keys_of(world)[0]
    ensure_signing_key(tmp_path / "next.pem")
    world.yard = replace(world.yard, signer=FileSigner(tmp_path / "next.pem"))
    known = keys_of(world)
    assert [each["current"] for each in known] == [True, False]
    assert known[1]["key_id"] == first["key_id"] != known[0]["key_id"]
    script.check(old, known)
    assert world.yard.roots is not None
    world.desk.clock.at("2026-03-17")
    world.run(date(2026, 3, 17))
    assert roots_in_order(Roots(world.roots), date(2026, 3, 17)) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("text", '"accounts":5', '"accounts":6', "signature"),
        ("text", "regulars root 1", "regulars root 2", "form"),
        ("signature", "", "00", "signature"),
    ],
)
def test_a_root_that_was_changed_is_found(world: World, name: str, old: str, new: str, says: str) -> None:
    covered(world)
    path = world.roots._path / "roots/2026-03-16/root.json"
    path.chmod(0o644)
    signed = json.loads(path.read_text())
    path.write_text(json.dumps({**signed, name: signed[name].replace(old, new, 1)}))
    (fault,) = roots_in_order(Roots(world.roots), TODAY)
    assert says in fault


def test_a_root_that_was_replaced_by_another_of_ours_breaks_the_chain_of_days(world: World) -> None:
    covered(world)
    world.desk.clock.at("2026-03-17")
    world.run(date(2026, 3, 17))
    assert roots_in_order(Roots(world.roots), date(2026, 3, 17)) == []
    path = world.roots._path / "roots/2026-03-16/root.json"
    path.chmod(0o644)
    assert world.yard.signer is not None
    said = json.loads(json.loads(path.read_text())["text"])
    path.write_text(service.signed_by(world.yard.signer, {**said, "balance": 1}).model_dump_json())
    assert roots_in_order(Roots(world.roots), date(2026, 3, 17)) == [
        "the root of 2026-03-17 does not follow from the root before it"
    ]


def test_who_has_no_entry_gets_no_receipt(world: World) -> None:
    assert world.yard.roots is not None
    assert world.yard.signer is not None
    world.desk.enrol(key="k")
    for entry_id in (
        EntryId("ent_AAAA"),
        keys.entry_id(keys.entry("spend", "x")),
        keys.entry_id(keys.entry("enrol", "k")),
    ):
        with pytest.raises(EntryUnknown):
            service.find_receipt(
                world.desk.table,
                world.yard.roots,
                world.yard.signer,
                entry_id,
                now=world.desk.clock(),
            )


def test_a_receipt_holds_no_notes_and_no_basket(world: World) -> None:
    member = covered(world)
    for number in range(len(world.of(member)) - 1):
        text = receipt_of(world, member, number).model_dump_json()
        assert not any(word in text for word in ("谢谢", "by hand", "拿铁", "shp_main", "R-1", "张三"))


def test_the_script_runs_by_itself(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    receipt, known = tmp_path / "receipt.json", tmp_path / "keys.json"
    receipt.write_text(receipt_of(world, covered(world), 0).model_dump_json())
    known.write_text(json.dumps({"items": keys_of(world)}))
    assert script.main([str(receipt), "--keys", str(known)]) == 0
    assert "Whoever holds the key" in capsys.readouterr().out
    assert script.main([str(receipt)]) == 0
    assert "NOT checked" in capsys.readouterr().out
    receipt.write_text(receipt.read_text().replace("40", "41", 1))
    assert script.main([str(receipt), "--keys", str(known)]) == 1
    receipt.write_text("{}")
    assert script.main([str(receipt), "--keys", str(known)]) == 2


# ---------------------------------------------------------------- signatures


def test_the_script_checks_the_signature_of_rfc_6979() -> None:
    """RFC 6979, A.2.5: ECDSA on P-256 with SHA-256."""
    x = 0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6
    y = 0x7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299
    vectors = {
        b"sample": "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
        b"test": "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367"
        "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
    }
    for message, signature in vectors.items():
        raw = bytes.fromhex(signature)
        assert script.verifies(message, raw, x, y)
        assert not script.verifies(message + b"!", raw, x, y)
        assert not script.verifies(message, raw[::-1], x, y)
        assert not script.verifies(message, raw, x, (y + 1) % script.P)
    assert not script.verifies(b"sample", bytes(64), x, y)
    assert not script.verifies(b"sample", b"\xff" * 64, x, y)
    assert not script.verifies(b"sample", bytes.fromhex(vectors[b"sample"]), 0, 0)


def test_the_thumbprint_is_that_of_rfc_7638_and_ours_is_the_scripts() -> None:
    key = PublicKey(bytes(range(32)), bytes(range(32, 64)))
    jwk = {"kty": "EC", "crv": "P-256", "x": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
           "y": "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8"}  # fmt: skip
    assert script.key_id_of(jwk) == key.key_id


def test_keys_and_signatures_come_out_of_their_der(signer: FileSigner) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = signer._private.public_key()
    assert public_from(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)) == signer.public()
    for message in (b"", b"a", b"\0" * 5_000):
        signature = signer.sign(message)
        numbers = signer.public()
        assert script.verifies(message, signature, int.from_bytes(numbers.x, "big"), int.from_bytes(numbers.y, "big"))
    for der in (b"", b"\x30\x00", bytes.fromhex("3006020101020101") + b"x", bytes.fromhex("3006030101020101")):
        with pytest.raises((ValueError, IndexError)):
            raw_signature(der)
    assert raw_signature(bytes.fromhex("3006020101020102")) == bytes(31) + b"\1" + bytes(31) + b"\2"
    with pytest.raises(ValueError, match="P-256"):
        public_from(bytes(91))


class Kms(SignedClient):
    """KMS over a key of our own; busy the first time."""

    def __init__(self, signer: FileSigner) -> None:
        self.key = signer._private
        self.answers: list[Exception] = [ServiceFault("ThrottlingException", 400, {}), Unreachable("no")]

    def call(self, operation: str, payload: Any) -> dict[str, Any]:
        """See `SignedClient.call`."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        assert payload["KeyId"] == "arn:aws:kms:x"
        if self.answers:
            raise self.answers.pop()
        if operation == "GetPublicKey":
            der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return {"PublicKey": base64.b64encode(der).decode()}
        assert (payload["MessageType"], payload["SigningAlgorithm"]) == ("DIGEST", "ECDSA_SHA_256")
        digest = base64.b64decode(payload["Message"])
        signature = self.key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        return {"Signature": base64.b64encode(signature).decode()}


def test_kms_signs_as_a_file_does(signer: FileSigner) -> None:
    kms = KmsSigner(Kms(signer), "arn:aws:kms:x")
    for _ in range(2):
        with pytest.raises(StorageBusy):
            kms.sign(b"x")
    assert kms.public() == signer.public()
    x, y = (int.from_bytes(part, "big") for part in (kms.public().x, kms.public().y))
    assert script.verifies(b"x", kms.sign(b"x"), x, y)


def test_the_content_in_a_receipt_is_the_one_that_is_hashed(world: World) -> None:
    member = covered(world)
    entry = world.desk.entries(member)[3]
    receipt = receipt_of(world, member, 3)
    assert script.chained(receipt.hash_before, receipt.content) == entry.hash.hex()
    assert json.loads(receipt.content)["key"] == [entry.key.kind, *entry.key.parts]
    assert points_store.key_of(entry.key) == keys.entry_of(keys.entry_id(points_store.key_of(entry.key)))


def test_every_fault_is_told_however_many_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert not _tell_faults([f"account {number}" for number in range(500)])
    assert capsys.readouterr().out.splitlines()[:-1] == [f"✗ account {number}" for number in range(500)]


def test_what_no_root_covers_yet_is_told_and_which_root_will(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    def told(day: date, *, before: date | None, sealed: bool) -> dict[str, str]:
        count = sum(len(world.desk.entries(member)) for member in members)
        _tell_cover(Roots(world.roots), day, count, before=before, sealed=sealed)
        rows = (line.strip().partition("  ") for line in capsys.readouterr().out.splitlines())
        return {name: text.strip() for name, _, text in rows}

    members = [a_full_member(world.desk)]
    count = len(world.desk.entries(members[0]))
    first = f"{count} entries: SEAL=1 signs the first root"
    assert told(TODAY, before=None, sealed=False) == {"under no root yet": first}

    world.desk.clock.at("2026-03-16")
    world.run(TODAY)
    none = "0 entries since the root of 2026-03-16"
    assert told(TODAY, before=None, sealed=True) == {"sealed": "the root of 2026-03-16", "under no root yet": none}

    world.desk.clock.forward(hours=1)
    world.desk.spend(members[0], 1, key="since")
    since = "1 entry since the root of 2026-03-16; the next root, of another day, covers what is there by then"
    nothing = "nothing: 2026-03-16 has its root, and a day has one"
    assert told(TODAY, before=TODAY, sealed=True) == {"sealed": nothing, "under no root yet": since}

    tomorrow = date(2026, 3, 17)
    since = "1 entry since the root of 2026-03-16; the next root covers what is there by then"
    assert told(tomorrow, before=TODAY, sealed=False) == {"under no root yet": since}
    world.desk.clock.at("2026-03-17")
    world.run(tomorrow)
    assert told(tomorrow, before=TODAY, sealed=True)["under no root yet"].startswith("0 entries")
