"""Whatever a page shows that is made of names of the code has words for people, in Chinese and in English."""

import json
import re
import subprocess

import pytest

from chalicelib.api import rooms
from chalicelib.api.routing import ROUTES
from chalicelib.identity.permissions import FOR_STAFF, Permission
from chalicelib.privacy import labels
from chalicelib.privacy.actions import ACTIONS, ITEMS
from chalicelib.trail.store import _BEHIND
from local.settings import ROOT

_HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_of_who_somebody_is_has_words_for_every_permission_and_role(language: str) -> None:
    source = (ROOT / "local/signin/text.js").read_text()
    told = {"permissions": list(Permission), "roles": sorted(FOR_STAFF)}
    script = f"""
      const navigator = {{ languages: ["{language}"], language: "{language}" }};
      Object.defineProperty(globalThis, "navigator", {{ value: navigator }});
      const page = await import("data:text/javascript," + encodeURIComponent({json.dumps(source)}));
      const {{ permissions, roles }} = {json.dumps(told)};
      const verb = (each) => (page.text.verb[each] ?? page.text.verb[each.split(":")[1]]) && page.allowed(each);
      const own = permissions.map((each) => [each, verb(each) ?? "", page.text.subject[each.split(":")[0]] ?? ""]);
      const held = roles.map((each) => [each, page.text.role[each] ?? ""]);
      console.log(JSON.stringify([...own, ...held]));
    """
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", script], capture_output=True, text=True, check=True, timeout=30
    )
    for name, *words in json.loads(done.stdout):
        for word in words:
            assert word, name
            if language == "zh":
                assert _HAN.search(word) and not re.search("[a-z]", word), (name, word)
            else:
                assert not _HAN.search(word) and "_" not in word, (name, word)


def test_an_exports_page_has_words_for_every_command_and_for_what_it_changes() -> None:
    rooms.everything()
    commands = {each.function.__name__ for each in ROUTES if each.method != "GET" and not each.rule.open}
    assert commands - ACTIONS.keys() == set()
    assert {*_BEHIND.values(), "share"} <= ITEMS.keys()


def test_the_words_of_an_exports_page_are_chinese_and_english() -> None:
    values = (both for words in labels.VALUES.values() for both in words.values())
    for chinese, english in (*labels.KINDS.values(), *labels.FIELDS.values(), *labels.LEFT_OUT, *values):
        assert _HAN.search(chinese) and not _HAN.search(english), (chinese, english)
        assert "_" not in chinese + english
