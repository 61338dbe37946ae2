"""The rules of local/lint.py and the search for secrets: each finds what is planted, and nothing where all is well."""

from pathlib import Path

import pytest

from local import leaks, lint
from local.settings import ROOT

PLANTED: dict[str, list[str]] = {
    "scan": ['table.call("Scan", {})'],
    "statement": ['dynamo.call("ExecuteStatement", said)', 'db.execute(f"SELECT * FROM m WHERE id = {x}")',
                  'db.execute("SELECT " + x)'],
    "clock": ["now = datetime.now(UTC)", "today = date.today()", "at = time.time()", "at = datetime.datetime.utcnow()"],
    "chance": ["import random", "from random import choice"],
    "broad": ["try:\n    a()\nexcept Exception:\n    pass", "try:\n    a()\nexcept:\n    b()",
              "try:\n    a()\nexcept (KeyError, BaseException) as x:\n    b(x)"],
    "compared": ["if digest == given: pass", "ok = key.secret != sent", "ok = given == hmac.new(k, m).digest()",
                 "ok = signature_of(x) == y"],
    "logged": ['logger().info(f"enrolled {x}")', 'log.warning("a" + x)', 'logger().info("enrolled", who=member.mobile)',
               'logger().error("wrong", fact=str(command.email))', 'logging.info(said)'],
    "evaluated": ["eval(x)", "import pickle", "from marshal import loads", "yaml.load(x)", "exec(x)"],
    "unverified": ["requests.get(u, verify=False)", "context = ssl._create_unverified_context()"],
    "shell": ["subprocess.run(x, shell=True)", "os.system(x)"],
}  # fmt: skip


@pytest.mark.parametrize(("rule", "planted"), [(rule, each) for rule, some in PLANTED.items() for each in some])
def test_a_rule_finds_what_breaks_it(rule: str, planted: str) -> None:
    found = {name for _, name, _ in lint.broken("chalicelib/signin/service.py", planted)}
    wanted = planted.replace("datetime.datetime.", "datetime.")
    assert rule in found | {name for _, name, _ in lint.broken("chalicelib/signin/service.py", wanted)}


def test_every_rule_is_planted_and_teaches() -> None:
    assert PLANTED.keys() == lint.RULES.keys()
    for rule in lint.RULES.values():
        assert rule.says.count(".") >= 2, "what is wrong, and what to do instead"


@pytest.mark.parametrize(
    "fine",
    [
        "try:\n    a()\nexcept BaseException:\n    close()\n    raise",
        'logger().info("request", member_id=member.member_id, status=200)',
        "ok = hmac.compare_digest(digest, given)",
        'db.execute("SELECT * FROM m WHERE id = ?", (x,))',
        "now = house.clock()",
        "json.loads(x)",
    ],
)
def test_what_is_meant_is_left_alone(fine: str) -> None:
    assert list(lint.broken("chalicelib/signin/service.py", fine)) == []


def test_the_tree_breaks_no_rule_and_every_exception_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        lint.main()
    assert (ended.value.code, capsys.readouterr().out) == (False, "")


def test_a_secret_is_found_and_known_ones_are_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("detect_secrets")
    monkeypatch.setattr(leaks, "ROOT", tmp_path)
    planted = {
        "aws.py": 'KEY = "AKIA' + "Q3EGWSRTZ7YHXN2P" + '"',
        "key.pem": "-----BEGIN " + "PRIVATE KEY-----",
        "url.md": "https://bob:" + "hunter2hunter2@" + "internal.corp/x",
        "till.env": "key=rgk_" + "a" * 16 + "_" + "b" * 52,
    }
    for name, text in planted.items():
        (tmp_path / name).write_text(text + "\n")
    assert {path for path, _, _ in leaks.leaked(list(planted))} == set(planted)
    monkeypatch.setattr(leaks, "BASELINE", tmp_path / ".secrets.baseline")
    leaks.keep(leaks.found(list(planted)))
    assert "hunter2" not in (tmp_path / ".secrets.baseline").read_text()
    (tmp_path / "url.md").write_text("\n\n" + planted["url.md"] + "\n")
    assert [path for path, _, _ in leaks.leaked(list(planted))] == ["till.env"], "an integration key is never known"


def test_what_is_known_for_no_secret_is_still_in_the_tree() -> None:
    assert [file for file, _ in leaks.known() if not (ROOT / file).exists()] == []
