"""`make run`: what it survives, and what it says."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from chalicelib.api.headers import ALWAYS
from local.keys import ensure_keys
from local.settings import ROOT
from local.tokens import make_token
from tests.local.stand import Stack


def asked(stack: Stack, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
    try:
        token = make_token(ensure_keys(stack.data_dir / "keys.json"), "admin")
        sent = {"content-type": "application/json", "authorization": f"Bearer {token}", **headers}
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        response = connection.getresponse()
        answer = {name.lower(): value for name, value in response.getheaders()}
        return response.status, answer, response.read().decode()
    finally:
        connection.close()


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    stats = (path.read_text() for path in Path("/proc").glob("[0-9]*/stat") if path.exists())
    parents = ((int(stat.split()[0]), int(stat.rpartition(")")[2].split()[1])) for stat in stats)
    return [child for child, parent in parents if parent == pid]


def listening(pids: list[int]) -> list[str]:
    """Addresses on which processes listen, as the kernel spells them: `0100007F` is 127.0.0.1."""
    links = (str(fd.readlink()) for pid in pids for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.exists())
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    tables = [path.read_text().splitlines()[1:] for path in (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))]
    rows = [line.split() for table in tables for line in table]
    return [row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes]


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def gone(pids: list[int], within: float = 60) -> bool:
    deadline = time.monotonic() + within
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_data_outlives_kill_9_of_everything(stack: Stack) -> None:
    status, _, text = asked(stack, "POST", "/v1/members", {"card_no": "c-1"})
    assert status == 201
    member = json.loads(text)
    assert stack.process is not None
    started = children(stack.process.pid)
    assert started
    stack.kill()
    assert gone(started), "what was killed with -9 leaves its children behind"

    stack.start()
    status, _, text = asked(stack, "GET", f"/v1/members/{member['member_id']}")
    assert (status, json.loads(text)["member_number"]) == (200, member["member_number"])


def test_a_database_or_worker_that_dies_is_started_again_with_its_data(stack: Stack) -> None:
    assert asked(stack, "POST", "/v1/members", {"card_no": "c-1"})[0] == 201
    assert stack.process is not None
    for pid in children(stack.process.pid):
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while True:
        try:
            status, _, text = asked(stack, "GET", "/v1/members?card_no=c-1")
            if status == 200:
                break
        except OSError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [member["card_no"] for member in json.loads(text)["items"]] == ["****"], "found, and masked"
    (functions,) = [pid for pid in children(stack.process.pid) if b"\0functions\0" in _words(pid)]
    os.kill(functions, signal.SIGKILL)
    question = f"{stack.run.functions}/2015-03-31/functions/regulars-lake-status/invocations"
    with urllib.request.urlopen(question, b"{}", timeout=60) as answer:
        assert answer.status == 200, "who asks a function that is not there waits until it is"


def test_a_second_run_of_the_same_folder_and_a_port_in_use_say_so(stack: Stack, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local", "run"]
    same = subprocess.run(command, env=stack.env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert (same.returncode, "Already running" in same.stderr) == (1, True)

    elsewhere = stack.env | {"DATA_DIR": str(tmp_path / "other")}
    taken = subprocess.run(command, env=elsewhere, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert (taken.returncode, f"Port {stack.port} cannot be used" in taken.stderr) == (1, True)
    assert asked(stack, "GET", "/v1/health")[0] == 200


def test_it_listens_on_this_machine_only_and_stops_leaving_nothing(stack: Stack) -> None:
    assert stack.process is not None
    mine = [stack.process.pid, *children(stack.process.pid)]
    addresses = listening(mine)
    assert addresses
    assert set(addresses) == {"0100007F"}
    stack.stop()
    assert gone(mine)
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", stack.port), 1):
        pass


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "route_unknown"),
        ("GET", "/v1/members/../program", 404, "route_unknown"),
        ("DELETE", "/v1/program", 405, "method_not_allowed"),
        ("POST", "/docs", 405, "method_not_allowed"),
        ("GET", "/v1/members/mem_aaaaaaaaaaaaaaaa", 404, "member_unknown"),
        ("GET", "/v1/members/nobody", 404, "id_malformed"),
    ],
)
def test_the_edge_answers_in_problems(stack: Stack, method: str, path: str, status: int, code: str) -> None:
    answered, headers, text = asked(stack, method, path)
    assert (answered, headers["content-type"], json.loads(text)["code"]) == (status, "application/problem+json", code)
    assert headers["x-request-id"]
    assert headers.items() >= {name.lower(): value for name, value in ALWAYS.items()}.items()
    assert "server" not in headers


def test_browsers_are_told_what_they_may_send(stack: Stack) -> None:
    status, headers, _ = asked(stack, "OPTIONS", "/v1/purchases")
    assert status == 200
    assert headers.items() >= {name.lower(): value for name, value in ALWAYS.items()}.items()
    assert "POST" in headers["access-control-allow-methods"]
    assert "Idempotency-Key" in headers["access-control-allow-headers"]


def test_a_body_that_is_too_large_is_refused_before_it_is_read_whole(stack: Stack) -> None:
    status, _, text = asked(stack, "POST", "/v1/purchases", {"channel": "x" * 2_000_000})
    assert (status, json.loads(text)["code"]) == (413, "body_too_large")


def test_the_documentation_needs_no_network_and_runs_no_inline_script(stack: Stack) -> None:
    status, headers, page = asked(stack, "GET", "/docs")
    assert status == 200
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "http://" not in page
    assert "https://" not in page
    status, headers, _ = asked(stack, "GET", "/v1/openapi.json")
    assert (status, headers["content-type"]) == (200, "application/json")


def test_a_body_in_another_encoding_is_refused_as_on_aws(stack: Stack) -> None:
    token = make_token(ensure_keys(stack.data_dir / "keys.json"), "admin")
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
    for card in ("甲-1", "乙-1"):
        body = json.dumps({"card_no": card}, ensure_ascii=False).encode("gbk")
        sent = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        connection.request("POST", "/v1/members", body, sent)
        response = connection.getresponse()
        problem = json.loads(response.read())
        assert (response.status, problem["code"]) == (400, "body_malformed")
        assert problem["detail"].startswith("The body is not UTF-8")
    connection.close()
