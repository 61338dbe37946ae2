#!/usr/bin/env python3
"""Check a receipt of Regulars without asking anybody: no network, nothing to install, Python 3.9 or later.

    python check_receipt.py receipt.json --keys keys.json

`receipt.json` is the answer of GET /v1/point-entries/{entry_id}/receipt, `keys.json` that of GET /v1/receipt-keys,
which you should have from somewhere that you trust. Without keys it checks that the parts of the receipt fit each other
and says that it cannot tell who signed. Exit code: 0 when all holds, 1 when something does not, 2 when it cannot be
read.

The signature check is ECDSA on P-256 with SHA-256 as in FIPS 186-5, section 6.4.2; the curve is in SP 800-186, section
3.2.1.3. It works on public data only, so it need not hide how long it takes. The tree is that of RFC 6962, section 2.1;
docs/canonical-form.md has the bytes that are hashed.
"""

import argparse
import base64
import hashlib
import json
import sys
from datetime import datetime, timezone
from pathlib import Path

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


class Wrong(Exception):
    """Something in the receipt does not hold; the message says what."""


def _add(one, other):
    """The sum of two points of the curve; None is the point at infinity."""
    if one is None or other is None:
        return one or other
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, P) if one == other else (y2 - y1) * pow(x2 - x1, -1, P)
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P


def _times(number, point):
    """A point so many times."""
    found = None
    while number:
        if number & 1:
            found = _add(found, point)
        point, number = _add(point, point), number >> 1
    return found


def verifies(message, signature, x, y):
    """Whether a signature (r and s, 32 bytes each) over a message is that of the public key (x, y)."""
    if len(signature) != 64 or not (0 <= x < P and 0 <= y < P) or (y * y - (x * x * x - 3 * x + B)) % P:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (1 <= r < N and 1 <= s < N):
        return False
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    inverse = pow(s, -1, N)
    point = _add(_times(digest * inverse % N, G), _times(r * inverse % N, (x, y)))
    return point is not None and point[0] % N == r


def key_id_of(key):
    """A key's thumbprint (RFC 7638)."""
    text = json.dumps({"crv": key["crv"], "kty": key["kty"], "x": key["x"], "y": key["y"]}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def _number(text):
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def check_signed(signed, keys, form):
    """What a signed text says; whether a key was there to check it with.

    Raises:
        Wrong: the signature is not that key's, or the text is of another form.
    """
    said = json.loads(signed["text"])
    if said.get("form") != form:
        raise Wrong(f"the signed text is not of the form '{form}'")
    if keys is None:
        return said, False
    key = next((each for each in keys if each["key_id"] == signed["key_id"]), None)
    if key is None:
        among = "which is not among the keys" if keys else "and there are no keys among those given"
        raise Wrong(f"it is signed with key {signed['key_id']}, {among}")
    if key_id_of(key) != key["key_id"]:
        raise Wrong(f"key {key['key_id']} is not the key of that name")
    message = f"{form}\n{signed['text']}".encode()
    if not verifies(message, bytes.fromhex(signed["signature"]), _number(key["x"]), _number(key["y"])):
        raise Wrong(f"the signature over '{form}' is not that of key {key['key_id']}")
    return said, True


def chained(before, content):
    """The hash of an entry: its content behind the hash of the entry before."""
    return hashlib.sha256(b"regulars entry 1\n" + bytes.fromhex(before) + content.encode()).hexdigest()


def leaf_hash(row):
    """The hash of a row of a tree."""
    return hashlib.sha256(b"\0" + row.encode()).digest()


def climbed(found, path):
    """The root that a path leads to."""
    for step in path:
        other = bytes.fromhex(step[1:])
        if step[0] not in "LR" or len(other) != 32:
            raise Wrong("the path to the root is not a path")
        found = hashlib.sha256(b"\1" + (other + found if step[0] == "L" else found + other)).digest()
    return found.hex()


def check(receipt, keys):
    """What a receipt proves, as sentences.

    Raises:
        Wrong: something in it does not hold.
    """
    entry = json.loads(receipt["content"])
    if chained(receipt["hash_before"], receipt["content"]) != receipt["hash"]:
        raise Wrong("the hash of the entry does not follow from its content")
    said, known = check_signed(receipt["statement"], keys, "regulars receipt 1")
    told = {"account": entry["member_id"], "seq": entry["seq"], "hash": receipt["hash"]}
    if any(said[name] != value for name, value in told.items()):
        raise Wrong("what is signed is said of another entry")
    who = "Whoever holds the key" if known else "Somebody (no keys were given, so who it was is NOT checked)"
    lines = [
        f"Entry {entry['seq']} of {entry['member_id']}: {entry['reason']}, {entry['points']:+,} points, "
        f"{entry['balance_after']:,} after it; recorded {_when(entry['recorded_at'])}.",
        "Its hash follows from its content and from the entry before it.",
        f"{who} signed on {_when(said['issued_at'])} that it is in the ledger.",
    ]
    if receipt["anchor"] is None:
        return [*lines, "No daily root covers it yet: that it stays there is a promise. Ask again later."]
    return [*lines, *_check_anchor(receipt, entry, receipt["anchor"], keys)]


def _check_anchor(receipt, entry, anchor, keys):
    found, seq = receipt["hash"], entry["seq"]
    for link in anchor["links"]:
        later, seq = json.loads(link), seq + 1
        if (later["member_id"], later["seq"]) != (entry["member_id"], seq):
            raise Wrong("the entries up to the head are not those of the account, one after the other")
        found = chained(found, link)
    if (found, seq) != (anchor["head_hash"], anchor["head_seq"]):
        raise Wrong("the entry does not lead to the head that the root covers")
    head = {"account": entry["member_id"], "hash": anchor["head_hash"], "seq": anchor["head_seq"]}
    part = json.loads(anchor["part"])
    row = json.dumps(head, sort_keys=True, separators=(",", ":"))
    if climbed(leaf_hash(row), anchor["path_in_part"]) != part["root"]:
        raise Wrong("the head is not in the part")
    root, known = check_signed(anchor["root"], keys, "regulars root 1")
    if climbed(leaf_hash(anchor["part"]), anchor["path"]) != root["heads"]:
        raise Wrong("the part is not under the root")
    signed = "signed" if known else "signed (by whom is NOT checked)"
    return [
        f"{len(anchor['links'])} later entries lead to the account's head, entry {anchor['head_seq']}.",
        f"That head is one of {root['accounts']:,} under the root of {root['day']}, which {root['stack']} {signed}:",
        f"  {root['heads']}",
        "So the entry, and all before it in the account, were in the ledger when that day's root was made, and cannot "
        "be changed, moved or dropped since without another root for that day.",
    ]


def keys_in(text):
    """The keys of a file: the answer of GET /v1/receipt-keys, a list of keys, or one key."""
    given = json.loads(text)
    return given if isinstance(given, list) else given.get("items", [given])


def _when(milliseconds):
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def main(arguments=None):
    """Check a file, say what holds, and give the exit code."""
    parser = argparse.ArgumentParser(description="Check a receipt of Regulars offline.")
    parser.add_argument("receipt", help="the receipt, a JSON file")
    parser.add_argument("--keys", help="the public keys, a JSON file: the answer of GET /v1/receipt-keys, or one key")
    asked = parser.parse_args(arguments)
    try:
        receipt = json.loads(Path(asked.receipt).read_text(encoding="utf-8"))
        keys = keys_in(Path(asked.keys).read_text(encoding="utf-8")) if asked.keys else None
        lines = check(receipt, keys)
    except Wrong as wrong:
        print(f"✗ This receipt does NOT hold: {wrong}.")
        return 1
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as fault:
        print(f"✗ This cannot be read as a receipt and its keys: {fault!r}")
        return 2
    for line in lines:
        print(line if line.startswith(" ") else f"✓ {line}")
    if keys is None:
        print("? Get the keys from somewhere that you trust, and check again with --keys.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
