"""Calls to addresses that somebody typed: nothing inside of a network is reached, however it is written or resolved."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from chalicelib.storage import egress
from chalicelib.storage.egress import Limits, NotSpoken, is_public, posted

WHO = ":".join(("user", "word"))
LIMITS = Limits(seconds=2.0, size=4096)
INSIDE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "169.254.169.254",
    "169.254.170.2", "100.64.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1",
    "2001:db8::1", "100::1", "example.com", "", "0x7f.1",
]  # fmt: skip
OUTSIDE = ["8.8.8.8", "203.107.1.1", "::ffff:8.8.8.8", "2400:3200::1", "2606:4700::1111"]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_that_is_not_of_the_public_internet_is_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_of_the_public_internet_is_known(address: str) -> None:
    assert is_public(address)


def never(*_: object) -> list[str]:
    """A resolver that must not be asked."""
    raise AssertionError("it was resolved")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "https://", "example.com", "https://user@example.com/",
        f"https://{WHO}@example.com/", "https://example.com/#here", "https://exa mple.com/",
        "https://example.com/\r\nX: y", "https://例子.com/", "https://example.com\\@127.0.0.1/", "https://example.com:0/",
        "https://example.com:99999/", "http://127.0.0.1/", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_what_is_no_plain_https_address_is_not_even_resolved(url: str) -> None:
    with pytest.raises(NotSpoken) as refused:
        posted(url, b"{}", {}, LIMITS, resolve=never)
    assert not refused.value.passing


@pytest.mark.parametrize("answers", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:10.0.0.1"], []])
def test_a_name_with_any_address_inside_is_not_called(answers: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "exchanged", never)
    with pytest.raises(NotSpoken, match="no address of the public internet") as refused:
        posted("https://hook.example.com/a", b"{}", {}, LIMITS, resolve=lambda _, __: answers)
    assert not refused.value.passing


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "017700000001", "127.1", "[::1]", "localhost"])
def test_the_laptop_is_not_reached_by_another_spelling(host: str) -> None:
    """The system's resolver reads them all; what it makes of them is judged."""
    with pytest.raises(NotSpoken):
        posted(f"https://{host}:9/", b"{}", {}, LIMITS)


@contextmanager
def secured(folder: Path, name: str, says: bytes) -> Iterator[tuple[int, list[bytes], ssl.SSLContext]]:
    """A server with a certificate for a name, what it was asked, and what trusts it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.9"))])
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(names, critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(private + certificate)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "both.pem")
    trusting = ssl.create_default_context(cadata=certificate.decode())
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with suppress(OSError), serving.wrap_socket(connection, server_side=True) as wire:
                asked.append(wire.recv(65_536))
                wire.sendall(says)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1], asked, trusting
        thread.join(3)


def test_the_connection_goes_to_the_address_that_was_looked_at_and_the_certificate_must_name_the_host(
    tmp_path: Path,
) -> None:
    looks: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        looks.append(host)
        return ["127.0.0.1"]

    with secured(tmp_path, "hook.example.com", b"HTTP/1.1 204 No Content\r\n\r\n") as (port, asked, trusting):
        status = posted(
            f"https://hook.example.com:{port}/in?a=b", b'{"a":1}', {"X-Y": "z"}, LIMITS,
            resolve=resolve, allowed=lambda _: True, context=lambda: trusting,
        )  # fmt: skip
    assert (status, looks) == (204, ["hook.example.com"]), "it is resolved once"
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /in?a=b HTTP/1.1\r\nHost: hook.example.com:")
    assert b"\r\nX-Y: z\r\n" in head and body == b'{"a":1}'
    with (
        secured(tmp_path, "other.example.com", b"HTTP/1.1 204 No Content\r\n\r\n") as (port, asked, trusting),
        pytest.raises(NotSpoken, match="SSLCertVerificationError"),
    ):
        posted(
            f"https://hook.example.com:{port}/", b"", {}, LIMITS,
            resolve=resolve, allowed=lambda _: True, context=lambda: trusting,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("says", "status"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", 302),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + b"x" * 9999, None),
    ],
)
def test_redirects_are_not_followed_and_a_long_answer_is_left(tmp_path: Path, says: bytes, status: int | None) -> None:
    with secured(tmp_path, "hook.example.com", says) as (port, _, trusting):

        def call() -> int:
            return posted(
                f"https://hook.example.com:{port}/", b"", {}, LIMITS,
                resolve=lambda _, __: ["127.0.0.1"], allowed=lambda _: True, context=lambda: trusting,
            )  # fmt: skip

        if status is None:
            with pytest.raises(NotSpoken) as refused:
                call()
            assert refused.value.passing
        else:
            assert call() == status
