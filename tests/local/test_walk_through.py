"""What docs/security.md tells a reader to type works as it stands, from top to bottom, on a run that is new."""

import re
import shutil
import subprocess

import pytest

from local.settings import ROOT
from tests.local.stand import PLAIN, Stack

NEEDED = ("bash", "curl", "jq", "make", "node", "openssl")


def blocks() -> list[tuple[str, str]]:
    """Every block of commands, after the title of its section; not those that start another run."""
    found = []
    for section in (ROOT / "docs" / "security.md").read_text().split("\n## "):
        for block in re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
            if not re.search(r"^REGULARS_\S+ make run", block, re.MULTILINE):
                found.append((section.partition("\n")[0], block))
    return found


@pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason="a program that the page uses is not on this machine")
def test_the_page_on_security_can_be_typed_in(stack: Stack) -> None:
    port, folder = f"127.0.0.1:{stack.port}", str(stack.data_dir)
    script = "".join(f"printf '\\n=== {number}\\n'\n{block}\n" for number, (_, block) in enumerate(blocks()))
    script = re.sub(r"(?<![\w.])\.data\b", folder, script.replace("127.0.0.1:8000", port))
    env = PLAIN | {"PORT": str(stack.port), "DATA_DIR": folder}
    command = ["bash", "-c", f"exec 2>&1; {script}"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=280)
    parts = re.split(r"^=== \d+\n", done.stdout, flags=re.MULTILINE)[1:]
    said: dict[str, str] = {}
    for (title, _), part in zip(blocks(), parts, strict=True):
        said[title] = said.get(title, "") + part

    missing: list[tuple[str, str]] = []

    def has(title: str, *marks: str) -> None:
        missing.extend((title, mark) for mark in marks if mark not in said[title])

    has("Staff sign-in", '"roles":["shop_manager"]', "access_token", "invalid_grant")
    has("Rights", "permission_missing", '"status":"waiting"', '"points":20000', "staff_suspended")
    has("Members sign in", '"mobile":"+8613800138000"', "refresh_token", '"current":true')
    has("Integration keys", '"mobile":"+86138****8000"', "revoked")
    has(
        "Personal data",
        "欧***",
        "+86139****9000",
        '"mobile":"+8613900139000"',
        "permission_missing",
        "/reason",
        "nowhere",
    )
    has(
        "The member's rights",
        '"granted": false',
        '"done": false',
        '"done": true',
        '"member_erased"',
        "✓ Everything holds",
    )
    has("The member's rights", '"reason":"asked"', "1 members stand in the register of erasures; 0 were there again.")
    has("Audit and alerts", "suspend_member", "called from …", "✗ aud_", "✓ Everything holds", "sign_in_failed")
    assert missing == [], said
    assert said["Audit and alerts"].index("✗ aud_") < said["Audit and alerts"].index("✓ Everything holds")
    has("Edges", "x-content-type-options: nosniff", "405", "body_too_large", "head_too_large")
    wrong = re.findall(r".*(?:command not found|No such file|syntax error|parse error|Cannot i).*", done.stdout)
    assert wrong == []
