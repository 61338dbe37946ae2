"""Tokens: the good ones, and more than a hundred forged, stale, twisted and broken ones."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from chalicelib.runtime.wiring import House
from tests.http.conftest import Look
from tests.makers import NOON, Api

KEY, ISSUER, AUDIENCE = bytes(range(32)), "https://test.regulars.invalid", "regulars"
NOW = int(NOON.timestamp())
CLAIMS: dict[str, Any] = {
    "iss": ISSUER, "aud": AUDIENCE, "sub": "stf_x", "roles": ["admin"], "iat": NOW, "nbf": NOW, "exp": NOW + 600,
}  # fmt: skip
HEADER = {"alg": "HS256", "typ": "JWT"}


def part(value: Any) -> str:
    """A segment: JSON or bytes as base64url."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def token(claims: Any = None, header: Any = None, *, key: bytes = KEY, digest: Any = hashlib.sha256) -> str:
    """A token signed like ours over any header and claims, however odd."""
    signed = part(HEADER if header is None else header) + "." + part(CLAIMS if claims is None else claims)
    return signed + "." + part(hmac.digest(key, signed.encode(), digest))


def with_claims(**changes: Any) -> str:
    """A token of ours with claims changed; None leaves one out."""
    return token({name: value for name, value in {**CLAIMS, **changes}.items() if value is not None})


def raw_claim(name: str, text: str) -> str:
    """A token of ours with a claim of any JSON text."""
    return token(json.dumps({**CLAIMS, name: "@@"}).replace('"@@"', text).encode())


def with_header(**changes: Any) -> str:
    """A token of ours with header fields changed; None leaves one out."""
    return token(header={name: value for name, value in {**HEADER, **changes}.items() if value is not None})


def segments() -> tuple[str, str, str]:
    """The parts of a good token."""
    header, claims, signature = token().split(".")
    return header, claims, signature


def attacks() -> dict[str, str]:
    """Tokens that must not be taken, by what is wrong with them."""
    h, c, s = segments()
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = {"kty": "oct", "k": part(b"k" * 32)}
    found = {
        # ---- algorithm
        **{f"alg {alg!r} unsigned": f"{part({'alg': alg, 'typ': 'JWT'})}.{c}."
           for alg in ("none", "None", "NONE", "nOnE", "", "HS256", None, 0, False)},
        **{f"alg {alg!r} signed": token(header={"alg": alg, "typ": "JWT"})
           for alg in ("none", "None", "NONE", "nOnE", "hs256", "Hs256", "HS256 ", " HS256", "HS2560", "HS384", "HS512",
                       "RS256", "ES256", "PS256", "EdDSA", "dir", "", None, 256, True, ["HS256"], {"a": "HS256"})},
        "no alg": token(header={"typ": "JWT"}),
        "HS384 in truth": token(header={"alg": "HS384", "typ": "JWT"}, digest=hashlib.sha384),
        "HS512 in truth": token(header={"alg": "HS512", "typ": "JWT"}, digest=hashlib.sha512),
        "HS256 that is SHA-384": token(digest=hashlib.sha384),
        "RS256 in truth": jwt.encode(CLAIMS, rsa_key, algorithm="RS256"),
        # ---- header
        **{f"header {name}": with_header(**{name: value}) for name, value in {
            "jwk": public, "jku": "https://evil.invalid/keys", "x5u": "https://evil.invalid/x", "x5c": ["MIIB"],
            "x5t": "abc", "crit": ["exp"], "b64": False, "zip": "DEF", "enc": "A128GCM", "cty": "JWT", "epk": {},
            "p2c": 1, "iss": ISSUER, "ALG": "none", "alg ": "none", "nonce": "1", "exp": NOW + 600,
        }.items()},
        **{f"typ {typ!r}": with_header(typ=typ) for typ in ("jwt", "JWS", "at+jwt", "", 1, ["JWT"], {"a": 1})},
        "typ null": token(header=b'{"alg":"HS256","typ":null}'),
        "kid that is a path": with_header(kid={"path": "../../dev/null"}),
        "header twice alg": token(header=b'{"alg":"none","alg":"HS256","typ":"JWT"}'),
        "header a list": token(header=[HEADER]),
        "header a string": token(header="HS256"),
        "header null": token(header=b"null"),
        "header empty": token(header={}),
        "header not JSON": token(header=b"{alg:HS256}"),
        "header in UTF-16": token(header=json.dumps(HEADER).encode("utf-16")),
        "header with a byte order mark": token(header=b"\xef\xbb\xbf" + json.dumps(HEADER).encode()),
        "header not UTF-8": token(header=b'{"alg":"HS256","typ":"\xff"}'),
        "header deep": token(header=b'{"alg":"HS256","kid":' + b"[" * 2000 + b"]" * 2000 + b"}"),
        # ---- signature
        "empty key": token(key=b""),
        "wrong key": token(key=b"k" * 32),
        "key in hex": token(key=KEY.hex().encode()),
        "key in base64": token(key=base64.b64encode(KEY)),
        "key cut short": token(key=KEY[:31]),
        "key padded": token(key=KEY + b"\x01"),
        "signature of other claims": ".".join((h, part({**CLAIMS, "roles": ["auditor"]}), s)),
        "signature of another header": ".".join((part({**HEADER, "kid": "1"}), c, s)),
        "signature empty": f"{h}.{c}.",
        "signature missing": f"{h}.{c}",
        "signature cut": f"{h}.{c}.{s[:-1]}",
        "signature half": f"{h}.{c}.{s[:20]}",
        "signature longer": f"{h}.{c}.{s}A",
        "signature twice": f"{h}.{c}.{s}.{s}",
        "signature in hex": f"{h}.{c}.{base64.urlsafe_b64decode(s + '=').hex()}",
        "signature in other bits": f"{h}.{c}.{_sibling(s)}",
        "signature upside down": f"{h}.{c}.{s[::-1]}",
        "signature of zeros": f"{h}.{c}.{part(bytes(32))}",
        # ---- spelling
        "header in other bits": f"{_sibling(h) if len(h) % 4 else h + 'A'}.{c}.{s}",
        "header padded": f"{h}=.{c}.{s}",
        "claims padded": f"{h}.{c}=.{s}",
        "signature padded": f"{h}.{c}.{s}=",
        "space in the header": f"{h[:5]} {h[5:]}.{c}.{s}",
        "space in the claims": f"{h}.{c[:5]} {c[5:]}.{s}",
        "space in the signature": f"{h}.{c}.{s[:5]} {s[5:]}",
        "tab in the signature": f"{h}.{c}.{s[:5]}\t{s[5:]}",
        "line break in the claims": f"{h}.{c[:5]}\n{c[5:]}.{s}",
        "no-break space at the end": token() + "\xa0",
        "form feed at the end": token() + "\x0c",
        "non-ASCII letters": f"{h}.{c}.é{s[1:]}",
        "standard base64": f"{h}.{c}.{s.translate(str.maketrans('-_', '+/'))}+",
        "no dots": h + c + s,
        "one dot": f"{h}.{c}{s}",
        "three dots": f"{h}.{c}.{s}.",
        "leading dot": f".{h}.{c}.{s}",
        "five parts, as a JWE": f"{h}.{c}.{s}.{s}.{s}",
        "only dots": "..",
        "one letter": "x",
        "nested": part(token().encode()) + "." + c + "." + s,
        "a JWT in a JWT": token(part(token()).encode()),
        "JSON serialisation": json.dumps({"protected": h, "payload": c, "signature": s}),
        "two tokens": f"{token()} {token()}",
        "two tokens with a comma": f"{token()}, {token()}",
        "quoted": f'"{token()}"',
        "oversize": with_claims(extra="x" * 5000),
        # ---- claims as such
        "claims a list": token([CLAIMS]),
        "claims a string": token("admin"),
        "claims null": token(b"null"),
        "claims empty": token({}),
        "claims not JSON": token(b"{"),
        "claims in UTF-16": token(json.dumps(CLAIMS).encode("utf-16-le")),
        "claims in UTF-32": token(json.dumps(CLAIMS).encode("utf-32")),
        "claims with a byte order mark": token(b"\xef\xbb\xbf" + json.dumps(CLAIMS).encode()),
        "claims not UTF-8": token(json.dumps(CLAIMS).encode().replace(b"stf_x", b"stf_\xff")),
        "claims deep": token(b'{"a":' * 900 + b"1" + b"}" * 900),
        "roles twice": token(json.dumps(CLAIMS)[:-1].encode() + b',"roles":["admin"]}'),
        "exp twice": token(b'{"exp":1,' + json.dumps(CLAIMS)[1:].encode()),
        "sub twice": token(json.dumps(CLAIMS)[:-1].encode() + b',"sub":"stf_other"}'),
    }  # fmt: skip
    for name in ("exp", "nbf", "iat"):
        for text in (
            '"1"', f'"{NOW + 500}"', "true", "false", "null", "[]", "{}", f"[{NOW}]", "NaN", "Infinity", "-Infinity",
            "1e400", "-1", "1e30", "-1e30",
        ):  # fmt: skip
            found[f"{name} {text}"] = raw_claim(name, text)
    found |= {
        "exp missing": with_claims(exp=None),
        "iat missing": with_claims(iat=None),
        "expired": with_claims(exp=NOW - 31),
        "expired by a float": with_claims(exp=NOW - 30.5),
        "nbf tomorrow": with_claims(nbf=NOW + 86_400),
        "iat tomorrow": with_claims(iat=NOW + 86_400),
        "exp zero": with_claims(exp=0),
        "exp of 5,000 digits": raw_claim("exp", "9" * 3000),
    }
    value: Any
    for name, good in (("iss", ISSUER), ("aud", AUDIENCE)):
        for value in (None, "", good + "/", good.upper(), " " + good, f"{good} ", good[:-1], 1, True, {"a": good}, []):
            found[f"{name} {value!r}"] = with_claims(**{name: value})
    found |= {
        "iss null": raw_claim("iss", "null"),
        "iss in a list": with_claims(iss=[ISSUER]),
        "aud null": raw_claim("aud", "null"),
        "aud of others": with_claims(aud=["a", "b"]),
        "aud in a nested list": with_claims(aud=[[AUDIENCE]]),
    }
    for roles in (
        "admin", [], ["root"], ["admin", "root"], ["Admin"], ["admin "], [["admin"]], [None], [True], 1, True,
        {"admin": True}, ["*"], "", None, ["admin", 1],
    ):  # fmt: skip
        found[f"roles {roles!r}"] = with_claims(roles=roles)
    for sub in (None, "", 1, True, ["stf_x"], {"a": 1}, "x" * 101, "a b", "\n", "名", "\ud800"):
        found[f"sub {sub!r:.20}"] = with_claims(sub=sub)
    for shop in (1, True, ["shp_a"], {"a": 1}):
        found[f"shop_id {shop!r}"] = with_claims(shop_id=shop)
    return found


def _sibling(segment: str) -> str:
    """The same bytes in another spelling: base64's unused last bits set."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return segment[:-1] + letters[letters.index(segment[-1]) ^ 1]


def test_more_than_a_hundred_attack_tokens_are_refused_and_not_one_is_taken(api: Api, look: Look) -> None:
    made = attacks()
    assert len(made) >= 200
    assert len(set(made.values())) >= 195
    before = look()
    taken = []
    for name, attack in made.items():
        for method, path, body in (("GET", "/v1/tiers", None), ("POST", "/v1/members", {"card_no": "X"})):
            reply = api.send(method, path, body, Authorization=f"Bearer {attack}")
            if (reply.status, reply.json.get("code")) != (401, "token_invalid"):
                taken.append((name, reply.status, reply.text[:80]))
            elif reply.headers.get("WWW-Authenticate") != "Bearer":
                taken.append((name, reply.status, "no WWW-Authenticate"))
    assert taken == []
    after = look()
    assert [key.pk.split("#")[1] for key in after.keys() - before.keys()] == ["sign_in_failed"], "it was noticed, once"
    assert before.items() <= after.items()


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Token {good}", "{good}", "bearer{good}", "Bearer\t{good}"]
)
def test_no_bearer_token_is_told_from_a_wrong_one(api: Api, house: House, header: str | None) -> None:
    sent = {"Authorization": "" if header is None else header.format(good=token())}
    reply = api.send("GET", "/v1/tiers", **sent)
    assert (reply.status, reply.code) == (401, "token_missing")


@pytest.mark.parametrize(
    "make",
    [
        token,
        lambda: with_header(kid="1"),
        lambda: with_header(typ=None),
        lambda: with_claims(nbf=None),
        lambda: with_claims(aud=["other", AUDIENCE]),
        lambda: with_claims(exp=NOW - 29),
        lambda: with_claims(iat=NOW + 29, nbf=NOW + 29),
        lambda: with_claims(exp=NOW + 0.5),
        lambda: with_claims(shop_id="shp_main", jti="1", name="x"),
        lambda: jwt.encode(CLAIMS, KEY, algorithm="HS256"),
    ],
)
def test_good_tokens_are_taken(api: Api, make: Callable[[], str]) -> None:
    assert api.send("GET", "/v1/tiers", Authorization=f"Bearer {make()}").status == 200
    assert api.send("GET", "/v1/tiers", Authorization=f"bearer {make()}").status == 200


def test_a_process_without_a_token_key_takes_no_token_at_all(api: Api, house: House) -> None:
    from dataclasses import replace

    from chalicelib.runtime import wiring

    wiring.use(replace(house, gate=wiring.gate(replace(house.settings, token_key=b""))))
    for attack in (token(), token(key=b"")):
        reply = api.send("GET", "/v1/tiers", Authorization=f"Bearer {attack}")
        assert (reply.status, reply.code) == (401, "token_invalid")


def test_a_refused_token_is_not_repeated_in_the_answer(api: Api) -> None:
    attack = with_claims(iss="https://evil.invalid/secret")
    reply = api.send("GET", "/v1/tiers", Authorization=f"Bearer {attack}")
    assert "evil" not in reply.text
    facts: Mapping[str, Any] = reply.json["facts"]
    assert facts == {}
