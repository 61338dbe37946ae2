"""A tool that works on a deployed stack has the keys that its API was told, once nobody is at work with others."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.storage.keyring import Keyring
from local import stack
from local.stack import NoStack, house_of_stack
from tests.makers import NOON

TOLD = {
    "REGULARS_STAGE": "prod", "REGULARS_STACK": "regulars-prod", "REGULARS_ISSUER": "https://i.invalid",
    "REGULARS_AUDIENCE": "regulars", "REGULARS_INDEX_KEY": "11" * 32, "REGULARS_CURSOR_KEY": "22" * 32,
    "REGULARS_OTHER_INDEX_KEY": "33" * 32, "REGULARS_CONTENT_KEY": "11" * 32, "AWS_LAMBDA_LOG_GROUP_NAME": "x",
}  # fmt: skip
ENV = {"REGULARS_STACK": "regulars-prod", "AWS_REGION": "eu-central-1"}


@pytest.fixture
def adopted(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the tool took on; given back when the test ends."""
    found: dict[str, str] = {}

    def adopt(env: dict[str, str]) -> None:
        found.update(env)
        for name, value in env.items():
            monkeypatch.setenv(name, value)

    monkeypatch.setattr(stack, "adopt", adopt)
    for name in ("REGULARS_KEYS_FILE", "AWS_ENDPOINT_URL", "DYNAMODB_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return found


def said(**more: Any) -> dict[str, Any]:
    """What Lambda says of a function that was deployed an hour ago."""
    at = (NOON - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    return {"LastUpdateStatus": "Successful", "LastModified": at, "Environment": {"Variables": TOLD}} | more


def test_it_has_the_keys_of_the_api_in_their_order(adopted: dict[str, str]) -> None:
    asked: list[tuple[str, str]] = []

    def configuration(name: str, region: str) -> dict[str, Any]:
        asked.append((name, region))
        return said()

    house = house_of_stack(ENV, asked=configuration, now=lambda: NOON)
    assert asked == [("regulars-prod-api", "eu-central-1")]
    assert isinstance(house.keyring, Keyring)
    assert (house.keyring.index_key, house.keyring.other_index_key) == (b"\x11" * 32, b"\x33" * 32)
    assert house.settings.core_table == "regulars-prod-core"
    assert "AWS_LAMBDA_LOG_GROUP_NAME" not in adopted


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"LastUpdateStatus": "InProgress"}, "is being changed"),
        ({"LastUpdateStatus": "Failed"}, "Failed"),
        ({"LastModified": "2026-03-15T03:59:30.000+0000"}, "Again in 31 seconds"),
    ],
)
def test_it_waits_until_no_process_of_before_can_be_at_work(
    adopted: dict[str, str], more: dict[str, Any], why: str
) -> None:
    with pytest.raises(NoStack, match=why):
        house_of_stack(ENV, asked=lambda _, __: said(**more), now=lambda: NOON)
    assert adopted == {}


def test_a_region_is_needed(adopted: dict[str, str]) -> None:
    with pytest.raises(NoStack, match="AWS_REGION"):
        house_of_stack({"REGULARS_STACK": "s"}, asked=lambda _, __: said(), now=lambda: NOON)
