"""docs/asvs.md and docs/security.md name only what exists, and leave nothing out."""

import re
from collections import Counter

from local.settings import ROOT

LINE = re.compile(r"^\| (\d+\.\d+\.\d+) \| ([12]) \| (yes|partly|no|–) \| ([^|]+) \| ([^|]*) \|$", re.MULTILINE)
CHAPTERS = {
    1: 27, 2: 11, 3: 19, 4: 10, 5: 9, 6: 35, 7: 18, 8: 7, 9: 7, 10: 29, 11: 14, 12: 9, 13: 13, 14: 9, 15: 13, 16: 16,
    17: 7,
}  # fmt: skip
"""Requirements of levels 1 and 2 in each chapter of ASVS 5.0.0."""


def lines() -> list[tuple[str, str, str, str, str]]:
    """Each requirement: number, level, how far it is met, how, where."""
    return LINE.findall((ROOT / "docs" / "asvs.md").read_text())


def missing(where: str) -> list[str]:
    """What is named in backticks, a file or `file::test`, and does not exist."""
    found = []
    for named in re.findall(r"`([^`]+)`", where):
        file, _, test = named.partition("::")
        path = ROOT / file
        if not path.is_file() or (test and f"def {test}(" not in path.read_text()):
            found.append(named)
    return found


def test_every_requirement_has_one_line() -> None:
    numbers = [number for number, *_ in lines()]
    assert len(set(numbers)) == len(numbers) == 253
    assert Counter(int(number.partition(".")[0]) for number in numbers) == CHAPTERS


def test_what_is_met_names_what_shows_it_and_what_is_not_says_what_is_missing() -> None:
    for number, _, met, how, where in lines():
        assert how.strip(), number
        assert missing(where) == [], number
        assert bool(where) or met in ("no", "–"), number


def test_the_sums_are_right() -> None:
    counted = Counter((level, met) for _, level, met, _, _ in lines())
    for level in "12":
        row = " | ".join(str(counted[level, met]) for met in ("yes", "partly", "no", "–"))
        assert f"| level {level} | {row} |\n" in (ROOT / "docs" / "asvs.md").read_text()


def test_a_file_or_test_that_is_gone_is_noticed() -> None:
    assert missing("`tests/house/test_asvs.py`, `tests/house/test_asvs.py::test_the_sums_are_right`") == []
    assert missing("`tests/nothing.py`") == ["tests/nothing.py"]
    assert missing("`tests/house/test_asvs.py::test_nothing`") == ["tests/house/test_asvs.py::test_nothing"]


# ---------------------------------------------------------------- docs/security.md


def section(title: str) -> str:
    """A section of the page."""
    text = (ROOT / "docs" / "security.md").read_text()
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_threat_has_a_test_or_a_reason() -> None:
    rows = re.findall(r"^\| (S\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", section("Threats"), re.MULTILINE)
    assert [number for number, *_ in rows] == [f"S{number}" for number in range(1, 26)]
    for number, threat, holds, shown in rows:
        assert threat.strip(), number
        assert holds.strip(), number
        assert missing(shown) == [], number
        assert "`tests/" in shown or shown.startswith(("not yet: ", "none: ")), number


def test_the_page_has_its_sections_and_links_lead_somewhere() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    for title in (
        "Threats", "Staff sign-in", "Rights", "Members sign in", "Integration keys", "Personal data", "Keys",
        "The member's rights", "Audit and alerts", "Backups", "Edges",
    ):  # fmt: skip
        assert titles.count(title) == 1, title
    for link in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (ROOT / "docs" / link).exists(), link
