"""An issuer's keys: when they are fetched, what of them is taken, and what happens when they cannot be had."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from chalicelib.identity import fetching
from chalicelib.identity.errors import IssuerUnreachable
from chalicelib.identity.fetching import NotFetched, fetched
from chalicelib.identity.issuers import Algorithm, is_safe, issuers_from
from chalicelib.identity.jwks import FAILED_EVERY, MAX_AGE, STALE_MAX, UNKNOWN_EVERY, IssuerKeys
from local.settings import ROOT
from tests.issuers import ALGORITHMS, NAME, Site, an_issuer, key_pair, part

DISCOVERY, KEYS = f"{NAME}/.well-known/openid-configuration", f"{NAME}/keys"
NOW = 1_000_000.0


def keys_of(site: Site, algorithm: str = "ES256", **changes: Any) -> IssuerKeys:
    """What a process knows of the tests' issuer."""
    return IssuerKeys(an_issuer(algorithm, **changes), site, local=False)


def has(keys: IssuerKeys, kid: str, now: float = NOW, algorithm: str = "ES256") -> bool:
    """Whether a key is found."""
    return keys.find(kid, Algorithm(algorithm), now) is not None


@pytest.fixture
def site() -> Site:
    made = Site()
    made.publish(key_pair("ES256"))
    return made


# ---------------------------------------------------------------- when they are fetched


def test_keys_are_discovered_once_and_kept(site: Site) -> None:
    keys = keys_of(site)
    assert all(has(keys, "key-ES256", NOW + after) for after in (0, 1, MAX_AGE - 1))
    assert site.asked == [DISCOVERY, KEYS]
    assert has(keys, "key-ES256", NOW + MAX_AGE)
    assert site.asked == [DISCOVERY, KEYS] * 2
    site.asked.clear()
    assert has(keys_of(site, jwks_uri=KEYS), "key-ES256")
    assert site.asked == [KEYS]


def test_keys_that_are_named_are_the_only_ones_and_nobody_is_asked(site: Site) -> None:
    (known,) = json.loads(site(KEYS))["keys"]
    site.asked.clear()
    keys = keys_of(site, jwks=[known])
    other = Site()
    other.publish(key_pair("RS256"))
    assert has(keys, "key-ES256")
    assert not has(keys, "key-RS256", NOW + UNKNOWN_EVERY)
    assert has(keys, "key-ES256", NOW + STALE_MAX)
    assert site.asked == []
    with pytest.raises(ValueError, match="private key"):
        keys_of(site, jwks=[{**known, "d": "x"}])


def test_a_new_key_is_found_at_once_and_invented_names_cost_one_look_a_minute(site: Site) -> None:
    keys = keys_of(site, jwks_uri=KEYS)
    assert has(keys, "key-ES256")
    site.publish(key_pair("ES256"), key_pair("ES256", "new"))
    assert has(keys, "new", NOW + UNKNOWN_EVERY)
    for second in range(1, 600):
        assert not has(keys, f"invented-{second}", NOW + UNKNOWN_EVERY + second)
    assert len(site.asked) == 2 + 9


def test_a_key_that_was_taken_back_is_gone_when_keys_are_fetched_again(site: Site) -> None:
    keys = keys_of(site)
    assert has(keys, "key-ES256")
    site.publish(key_pair("ES256", "new"))
    assert not has(keys, "key-ES256", NOW + MAX_AGE)


def test_old_keys_do_for_a_while_and_then_nobody_comes_in(site: Site) -> None:
    keys = keys_of(site, jwks_uri=KEYS)
    assert has(keys, "key-ES256")
    site.down = True
    assert has(keys, "key-ES256", NOW + MAX_AGE)
    assert has(keys, "key-ES256", NOW + STALE_MAX - 1)
    assert not has(keys, "unknown", NOW + STALE_MAX - 1)
    with pytest.raises(IssuerUnreachable):
        has(keys, "key-ES256", NOW + STALE_MAX)
    site.down = False
    assert has(keys, "key-ES256", NOW + STALE_MAX + FAILED_EVERY)


def test_an_issuer_that_does_not_answer_is_not_asked_by_every_request(site: Site) -> None:
    keys = keys_of(site, jwks_uri=KEYS)
    site.down = True
    for tenth in range(100):
        with pytest.raises(IssuerUnreachable):
            has(keys, "key-ES256", NOW + tenth / 10)
    assert len(site.asked) == 2
    site.down = False
    assert has(keys, "key-ES256", NOW + 10)


# ---------------------------------------------------------------- what of them is taken


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"null", b"[]", b"{}", b'{"keys":{}}', b'{"keys":null}', b"\xff", b'{"keys":[],"keys":[]}', b"<html>",
        json.dumps({"keys": [{}] * 101}).encode(), b'{"a":' * 3000 + b"1" + b"}" * 3000,
    ],
)  # fmt: skip
def test_an_answer_that_is_no_list_of_keys_is_as_none(site: Site, answer: bytes) -> None:
    site.answers[KEYS] = answer
    with pytest.raises(IssuerUnreachable):
        has(keys_of(site), "key-ES256")


@pytest.mark.parametrize(
    "said",
    [
        {}, {"issuer": NAME}, {"issuer": NAME + "/", "jwks_uri": KEYS}, {"issuer": NAME, "jwks_uri": ""},
        {"issuer": "https://evil.invalid", "jwks_uri": KEYS},
        {"issuer": NAME, "jwks_uri": KEYS.replace("https", "http")},
        {"issuer": NAME, "jwks_uri": "file:///etc/passwd"}, {"issuer": NAME, "jwks_uri": "http://169.254.169.254/"},
        {"issuer": NAME, "jwks_uri": [KEYS]}, {"issuer": NAME, "jwks_uri": KEYS + "\r\nX: y"},
    ],
)  # fmt: skip
def test_a_discovery_document_of_another_issuer_or_with_an_unsafe_address_is_as_none(site: Site, said: Any) -> None:
    site.answers[DISCOVERY] = said
    with pytest.raises(IssuerUnreachable):
        has(keys_of(site), "key-ES256")
    assert site.asked == [DISCOVERY]


def unfit() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Keys that nothing is verified with: what is wrong, the algorithm, the JWK."""
    for algorithm in ALGORITHMS:
        good = key_pair(algorithm).jwk
        changes: dict[str, dict[str, Any]] = {
            "another alg": {"alg": "RS512"}, "to encrypt": {"use": "enc"}, "to sign only": {"key_ops": ["sign"]},
            "key_ops no list": {"key_ops": "verify"}, "with its secret": {"d": part(b"1" * 32)},
            "no kid": {"kid": None}, "a number as kid": {"kid": 1}, "an empty kid": {"kid": ""},
            "symmetric": {"kty": "oct", "k": "AAAA"},
            "another curve": {"crv": "P-384"}, "kty in small letters": {"kty": good["kty"].lower()},
        }  # fmt: skip
        if good["kty"] == "RSA":
            small = part(b"\xff" * 127 + b"\x01")
            changes |= {
                "1024 bits": {"n": small}, "65536 bits": {"n": part(b"\xff" * 8192)}, "e = 3": {"e": "Aw"},
                "e = 1": {"e": "AQ"}, "e even": {"e": part(b"\x01\x00\x02")}, "n padded": {"n": good["n"] + "=="},
                "no n": {"n": None}, "n a number": {"n": 5}, "e huge": {"e": good["n"]},
            }  # fmt: skip
        if good["kty"] == "EC":
            changes |= {
                "off the curve": {"y": good["x"]}, "the origin": {"x": part(bytes(32)), "y": part(bytes(32))},
                "x short": {"x": part(b"1" * 31)}, "y long": {"y": part(b"1" * 33)}, "no y": {"y": None},
            }  # fmt: skip
        if good["kty"] == "OKP":
            changes |= {"short": {"x": part(b"1" * 31)}, "Ed448": {"crv": "Ed448"}, "X25519": {"crv": "X25519"}}
        for name, change in changes.items():
            jwk = {field: value for field, value in {**good, **change}.items() if value is not None}
            yield f"{algorithm}: {name}", algorithm, jwk


@pytest.mark.parametrize(("algorithm", "jwk"), [pytest.param(a, jwk, id=name) for name, a, jwk in unfit()])
def test_unfit_keys_are_passed_over_and_the_others_taken(algorithm: str, jwk: dict[str, Any]) -> None:
    site = Site()
    site.publish(jwk, "no key", key_pair(algorithm, "good"))  # type: ignore[arg-type]  # issuers say what they like
    keys = keys_of(site, algorithm)
    assert not has(keys, f"key-{algorithm}", algorithm=algorithm)
    assert has(keys, "good", algorithm=algorithm)


def test_two_keys_of_one_name_are_neither_and_of_two_kinds_both() -> None:
    site = Site()
    site.publish(key_pair("ES256"), {**key_pair("ES256", "b").jwk, "kid": "key-ES256"}, key_pair("ES256", "c"))
    keys = keys_of(site)
    assert (has(keys, "key-ES256"), has(keys, "c")) == (False, True)
    site.publish(key_pair("ES256"), {**key_pair("EdDSA").jwk, "kid": "key-ES256"})
    both = keys_of(site, algorithms=["ES256", "EdDSA"])
    assert has(both, "key-ES256")
    assert has(both, "key-ES256", algorithm="EdDSA")


def test_an_issuer_signs_only_as_is_configured() -> None:
    site = Site()
    site.publish(*map(key_pair, ALGORITHMS))
    keys = keys_of(site, algorithms=["RS256"])
    found = [algorithm for algorithm in ALGORITHMS if has(keys, f"key-{algorithm}", algorithm=algorithm)]
    assert found == ["RS256"]


# ---------------------------------------------------------------- how they are fetched


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Something that listens and answers one connection as it likes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                with suppress(OSError):  # the other side may have had enough
                    serve(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/keys?a=b"
        thread.join(5)


def says(text: bytes) -> Callable[[socket.socket], None]:
    """Answers with these bytes."""
    return lambda connection: connection.sendall(text)


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n{}",
    ],
)
def test_a_document_is_fetched_however_it_is_framed(text: bytes) -> None:
    with server(says(text)) as url:
        assert fetched(url) == b"{}"


@pytest.mark.parametrize(
    "text",
    [
        b"", b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", b"HTTP/1.1 500 Oh\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", b"hello", b"HTTP/1.1 204 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * fetching.BYTES_MAX, b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 60_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ],
)  # fmt: skip
def test_what_is_cut_redirected_or_too_much_is_no_document(text: bytes) -> None:
    with server(says(text)) as url, pytest.raises(NotFetched):
        fetched(url)


def test_a_server_that_drips_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SECONDS_MAX", 0.3)

    def drip(connection: socket.socket) -> None:
        for _ in range(100):
            connection.sendall(b"H")
            time.sleep(0.02)

    before = time.monotonic()
    with server(drip) as url, pytest.raises(NotFetched):
        fetched(url)
    assert time.monotonic() - before < 1.5
    with pytest.raises(NotFetched):
        fetched("http://127.0.0.1:9/")


def test_https_wants_a_certificate_that_holds() -> None:
    with server(says(b"HTTP/1.1 200 OK\r\n\r\n{}")) as url, pytest.raises(NotFetched):
        fetched(url.replace("http://", "https://"))


# ---------------------------------------------------------------- what the environment may say


@pytest.mark.parametrize(
    ("url", "anywhere", "on_a_laptop"),
    [
        ("https://id.invalid/a", True, True), ("http://127.0.0.1:9000", False, True),
        ("http://localhost:1", False, True), ("http://id.invalid", False, False),
        ("http://127.0.0.1.evil.invalid", False, False), ("ftp://a.b", False, False),
        ("https://", False, False), ("https://a@b.c", False, False), ("https://a.b#c", False, False),
        ("https://a.b/ c", False, False), ("https://a.b:x", False, False), ("https://a.b\r\n", False, False),
        ("", False, False),
    ],
)  # fmt: skip
def test_keys_are_had_by_https_only_except_from_the_laptop_itself(url: str, anywhere: bool, on_a_laptop: bool) -> None:
    assert (is_safe(url, local=False), is_safe(url, local=True)) == (anywhere, on_a_laptop)


GOOD = {"label": "corp", "issuer": "https://id.invalid", "audience": "a", "algorithms": ["RS256"]}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{}", "valid array"), ("nonsense", "Invalid JSON"),
        ([{**GOOD, "algorithms": []}], "algorithms"), ([{**GOOD, "algorithms": ["HS256"]}], "algorithms"),
        ([{**GOOD, "algorithms": ["none"]}], "algorithms"), ([{**GOOD, "secret": "x"}], "secret"),
        ([{**GOOD, "access_token_types": []}], "access_token_types"),
        ([{**GOOD, "access_token_types": ["id+jwt"]}], "access_token_types"),
        ([{**GOOD, "access_token_types": ["JWT"], "clients": ["a"]}], "its ID tokens"),
        ([{**GOOD, "label": "Corp"}], "label"), ([{**GOOD, "issuer": "http://id.invalid"}], "no plain https"),
        ([{**GOOD, "jwks_uri": "http://id.invalid"}], "no plain https"), ([GOOD, GOOD], "same issuer"),
        ([GOOD, {**GOOD, "issuer": "https://b.invalid"}], "same label"),
        ([{**GOOD, "issuer": "https://own.invalid"}], "own"),
        ([{**GOOD, "claims": {"roles": {"claim": ["g"], "values": {"a": "member"}}}}], "no role of staff"),
        ([{**GOOD, "claims": {"roles": {"claim": ["g"], "values": {"a": "root"}}}}], "no role of staff"),
    ],
)  # fmt: skip
def test_issuers_that_make_no_sense_are_refused_at_the_start(said: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        issuers_from(said if isinstance(said, str) else json.dumps(said), own="https://own.invalid", local=False)


def test_settings_name_issuers_and_say_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.runtime.settings import SettingsWrong, load

    for name, value in {
        "REGULARS_STAGE": "dev", "REGULARS_STACK": "s", "AWS_REGION": "eu-central-1", "REGULARS_AUDIENCE": "a",
        "REGULARS_ISSUER": "https://own.invalid",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REGULARS_KEYS_FILE", raising=False)
    for nothing in ("", "[]"):
        monkeypatch.setenv("REGULARS_ISSUERS", nothing)
        assert load().issuers == ()
    monkeypatch.setenv("REGULARS_ISSUERS", json.dumps([GOOD]))
    assert [each.label for each in load().issuers] == ["corp"]
    monkeypatch.setenv("REGULARS_ISSUERS", json.dumps([{**GOOD, "issuer": "http://127.0.0.1:1"}]))
    with pytest.raises(SettingsWrong, match="REGULARS_ISSUERS: corp"):
        load()
    monkeypatch.setenv("REGULARS_STAGE", "local")
    assert load().issuers[0].issuer == "http://127.0.0.1:1"


def test_the_settings_that_the_documentation_gives_for_other_issuers_are_understood() -> None:
    given = re.findall(r"^```json\n(.*?)^```", (ROOT / "docs" / "security.md").read_text(), re.DOTALL | re.MULTILINE)
    found = [issuers_from(text, own="https://own.invalid", local=False)[0] for text in given]
    hosts = [urlsplit(each.issuer).hostname for each in found]
    assert hosts == [
        "id.example.com", "login.microsoftonline.com", "cognito-idp.eu-central-1.amazonaws.com", "coffee.authing.cn",
    ]  # fmt: skip
    assert [sorted(each.access_token_types) for each in found] == [["JWT"], ["JWT"], ["none"], ["JWT"]]
