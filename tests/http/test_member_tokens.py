"""Members' access tokens: forged, stale, twisted and broken ones, none of which is taken."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib.identity.members import Issuer, verifies
from chalicelib.kernel.ids import MemberId, SessionId
from chalicelib.runtime.wiring import House
from chalicelib.storage.signing import FileSigner, PublicKey, raw_signature
from tests.makers import NOON, Api

NOW = int(NOON.timestamp())
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def part(value: Any) -> str:
    """A segment: JSON or bytes as base64url."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Forge:
    """Makes tokens over any header and claims, with any signature."""

    def __init__(self, house: House, member_id: str) -> None:
        self.signer = house.issuer.signer
        self.public = self.signer.public()
        self.header: dict[str, Any] = {"alg": "ES256", "typ": "at+jwt", "kid": self.public.key_id}
        self.claims: dict[str, Any] = {
            "iss": "urn:regulars:test:members", "aud": "regulars", "sub": member_id, "sid": "ses_" + "a" * 26,
            "iat": NOW, "exp": NOW + 600,
        }  # fmt: skip

    def token(self, sign: Callable[[bytes], bytes] | None = None, header: Any = None, claims: Any = None) -> str:
        """A token; the real signature over whatever it holds, when no other is named."""
        signed = f"{part(self.header if header is None else header)}.{part(self.claims if claims is None else claims)}"
        return f"{signed}.{part((sign or self.signer.sign)(signed.encode()))}"

    def claiming(self, **changes: Any) -> str:
        """Claims changed; None leaves one out."""
        return self.token(claims={k: v for k, v in {**self.claims, **changes}.items() if v is not None})

    def headed(self, **changes: Any) -> str:
        """Header changed; None leaves a field out."""
        return self.token(header={k: v for k, v in {**self.header, **changes}.items() if v is not None})

    def attacks(self) -> dict[str, str]:
        """Tokens that must not be taken, by what is wrong with them."""
        value: Any
        sub: Any
        other = ec.generate_private_key(ec.SECP256R1())
        der_of: Callable[[bytes], bytes] = lambda m: other.sign(m, ec.ECDSA(hashes.SHA256()))  # noqa: E731
        spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004") + self.public.x + self.public.y
        jwk = {"kty": "EC", "crv": "P-256", "x": part(self.public.x), "y": part(self.public.y)}
        good, real = self.token(), self.signer.sign
        head, body, signature = good.split(".")
        raw = base64.urlsafe_b64decode(signature + "==")
        flipped = bytes([raw[0] ^ 1]) + raw[1:]
        found = {
            "no signature": f"{head}.{body}.", "alg none": self.token(lambda _: b"", {**self.header, "alg": "none"}),
            "alg None": self.token(lambda _: b"", {**self.header, "alg": "None"}),
            "alg none with ours": self.headed(alg="none"),
            "HMAC with the key's DER": self.token(
                lambda m: hmac.digest(spki, m, hashlib.sha256), {**self.header, "alg": "HS256"}),
            "HMAC with its JWK": self.token(
                lambda m: hmac.digest(json.dumps(jwk).encode(), m, hashlib.sha256), {**self.header, "alg": "HS256"}),
            "HMAC with x": self.token(
                lambda m: hmac.digest(self.public.x, m, hashlib.sha256), {**self.header, "alg": "HS256"}),
            "another key, our kid": self.token(lambda m: raw_signature(der_of(m))),
            "DER": self.token(lambda m: _der(real(m))), "zero r and s": self.token(lambda _: bytes(64)),
            "zero r": self.token(lambda m: bytes(32) + real(m)[32:]),
            "zero s": self.token(lambda m: real(m)[:32] + bytes(32)),
            "r of the order": self.token(lambda m: ORDER.to_bytes(32, "big") + real(m)[32:]),
            "s of the order": self.token(lambda m: real(m)[:32] + ORDER.to_bytes(32, "big")),
            "r and s of one": self.token(lambda _: bytes(31) + b"\x01" + bytes(31) + b"\x01"),
            "truncated": self.token(lambda m: real(m)[:63]), "extended": self.token(lambda m: real(m) + b"\x00"),
            "twice": self.token(lambda m: real(m) * 2), "swapped": self.token(lambda m: real(m)[32:] + real(m)[:32]),
            "a bit flipped": f"{head}.{body}.{part(flipped)}", "over the claims only": self.token(
                lambda m: real(m.partition(b".")[2])),
            "other claims, old signature": f"{head}.{part({**self.claims, 'sub': 'mem_' + 'b' * 16})}.{signature}",
            "other header, old signature": f"{part({**self.header, 'kid': 'x'})}.{body}.{signature}",
            "padded": f"{head}.{body}.{signature}==",
            "stray bits": f"{head}.{body}.{signature[:-1]}{_next(signature[-1])}",
            "four parts": good + ".x", "two parts": f"{head}.{body}", "a space inside": good.replace(".", " ."),
            "too long": good + "a" * 5000, "encrypted": good + ".." , "claims not an object": self.token(claims=[1]),
            "a name twice": self.token(claims=json.dumps(self.claims).replace("{", '{"sub":"mem_x",', 1).encode()),
            "a header name twice": self.token(
                header=json.dumps(self.header).replace("{", '{"alg":"none",', 1).encode()),
            "NaN": self.token(claims=json.dumps(self.claims).replace(str(NOW + 600), "NaN").encode()),
            "Infinity": self.token(claims=json.dumps(self.claims).replace(str(NOW + 600), "Infinity").encode()),
        }  # fmt: skip
        for alg in ("ES384", "ES512", "ES256K", "RS256", "PS256", "EdDSA", "es256", "HS512", "", None, 256, ["ES256"]):
            found[f"alg {alg}"] = self.headed(alg=alg)
        for typ in ("JWT", "jwt", "AT+JWT", "application/at+jwt", "", None, 1):
            found[f"typ {typ}"] = self.headed(typ=typ)
        for kid in ("", None, "x", "../../dev/null", "' OR 1=1", 1, self.public.key_id + "a"):
            found[f"kid {kid}"] = self.headed(kid=kid)
        for name, value in (
            ("jwk", jwk), ("jku", "https://x.invalid/jwks"), ("x5u", "https://x.invalid"), ("x5c", ["x"]),
            ("crit", ["exp"]), ("b64", False), ("zip", "DEF"), ("cty", "JWT"), ("x", 1),
        ):  # fmt: skip
            found[f"header {name}"] = self.headed(**{name: value})
        for iss in ("urn:regulars:prod:members", "https://test.regulars.invalid", "urn:regulars:test:members ",
                    "URN:regulars:test:members", "", None, ["urn:regulars:test:members"], 1):  # fmt: skip
            found[f"iss {iss}"] = self.claiming(iss=iss)
        for aud in ("other", "", None, ["regulars"], ["regulars", "other"], "REGULARS", 1, {"regulars": 1}):
            found[f"aud {aud}"] = self.claiming(aud=aud)
        for name, value in (
            ("exp", NOW - 31), ("exp", None), ("exp", str(NOW + 600)), ("exp", True), ("exp", NOW + 601),
            ("exp", NOW + 10**6), ("exp", [NOW + 600]), ("exp", (NOW + 600) * 1000), ("exp", -1),
            ("iat", NOW + 31), ("iat", None), ("iat", str(NOW)), ("iat", False), ("iat", NOW - 601),
            ("iat", NOW * 1000),
            ("nbf", NOW + 31), ("nbf", "0"), ("nbf", True),
        ):  # fmt: skip
            found[f"{name} {value}"] = self.claiming(**{name: value})
        for sub in (
            "stf_admin",
            "mem_" + "c" * 16,
            "mem_",
            "",
            None,
            1,
            ["x"],
            {},
            "mem_" + "A" * 16,
            self.claims["sub"] + "\n",
        ):
            found[f"sub {sub}"] = self.claiming(sub=sub)
        for sid in ("", None, "x", 1, "ses_" + "a" * 25, "ses_" + "a" * 26 + "\n"):
            found[f"sid {sid}"] = self.claiming(sid=sid)
        return found


def _der(raw: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


def _next(character: str) -> str:
    """A character that differs in bits that nobody reads."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return letters[letters.index(character) ^ 1]


@pytest.fixture
def forge(api: Api, house: House) -> Forge:
    """A forge, and a member to pass for."""
    return Forge(house, api.enrol()["member_id"])


def test_none_of_more_than_a_hundred_attacks_gets_in(api: Api, forge: Forge) -> None:
    attacks = forge.attacks()
    assert len(attacks) > 100
    assert api.with_(forge.token()).get("/v1/me").status == 200
    taken = {}
    for name, token in attacks.items():
        reply = api.with_(token).get("/v1/me")
        if (reply.status, reply.code if reply.status != 200 else "") not in (
            (401, "token_invalid"),
            (401, "token_missing"),
        ):
            taken[name] = f"{reply.status} {reply.text[:60]}"
    assert taken == {}


def test_a_naive_verifier_takes_some_of_them(forge: Forge) -> None:
    """So the attacks can succeed: one that only looks at the signature, or only decodes."""

    def naive(token: str) -> bool:
        head, body, signature = (token + "...").split(".")[:3]
        try:
            claims = json.loads(base64.urlsafe_b64decode(body + "=="))
            raw = base64.urlsafe_b64decode(signature + "==")
            return bool(claims["sub"]) and verifies(forge.public, f"{head}.{body}".encode(), raw)
        except (ValueError, KeyError, TypeError):
            return False

    assert sum(naive(each) for each in forge.attacks().values()) > 20


def test_the_token_of_another_stack_under_the_same_key_is_not_taken(api: Api, house: House, forge: Forge) -> None:
    member, session = MemberId(forge.claims["sub"]), SessionId("ses_" + "a" * 26)
    elsewhere = Issuer(house.issuer.signer, "urn:regulars:prod:members", "regulars")
    assert api.with_(elsewhere.issue(member, session, now=NOON)).get("/v1/me").code == "token_invalid"
    assert api.with_(house.issuer.issue(member, session, now=NOON)).get("/v1/me").status == 200


def test_a_change_of_keys_ends_the_tokens_of_the_one_before(
    api: Api, house: House, forge: Forge, tmp_path: Any
) -> None:
    from dataclasses import replace

    from chalicelib.runtime import wiring
    from local.keys import ensure_signing_key

    ensure_signing_key(tmp_path / "next.pem")
    issuer = wiring.issuer(house.settings, FileSigner(tmp_path / "next.pem"))
    wiring.use(replace(house, issuer=issuer, gate=wiring.gate(house.settings, house.table, issuer)))
    assert api.with_(forge.token()).get("/v1/me").code == "token_invalid"


def test_a_signature_is_checked_as_the_standard_says() -> None:
    """RFC 7515, appendix A.3: somebody else's signature with ES256."""
    key = PublicKey(
        base64.urlsafe_b64decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU="),
        base64.urlsafe_b64decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0="),
    )
    signed = (
        b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
        b"cnVlfQ"
    )
    signature = base64.urlsafe_b64decode(
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q=="
    )
    assert verifies(key, signed, signature)
    assert not verifies(key, signed + b"x", signature)
