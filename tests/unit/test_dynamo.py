"""The client's signatures against botocore's, and values in DynamoDB's types."""

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.storage.dynamo import Credentials, Dynamo, marshalled, unmarshalled

ENDPOINTS = [
    ("us-east-1", None, "https://dynamodb.us-east-1.amazonaws.com"),
    ("ap-southeast-1", None, "https://dynamodb.ap-southeast-1.amazonaws.com"),
    ("cn-north-1", None, "https://dynamodb.cn-north-1.amazonaws.com.cn"),
    ("cn-northwest-1", None, "https://dynamodb.cn-northwest-1.amazonaws.com.cn"),
    ("us-east-1", "http://localhost:8000", "http://localhost:8000"),
    ("us-east-1", "https://vpce-1.dynamodb.us-east-1.vpce.amazonaws.com", "https://vpce-1.dynamodb.us-east-1.vpce.amazonaws.com"),
]  # fmt: skip
printable = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)


def by_botocore(region: str, url: str, operation: str, body: bytes, credentials: Credentials) -> tuple[datetime, str]:
    """When botocore signed the same request, and its signature."""
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
    request = AWSRequest(method="POST", url=url + "/", data=body, headers=headers)
    theirs = BotoCredentials(credentials.access_key, credentials.secret_key, credentials.session_token)
    SigV4Auth(theirs, "dynamodb", region).add_auth(request)
    signed_at = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return signed_at, request.headers["Authorization"]


@pytest.mark.parametrize(("region", "endpoint", "url"), ENDPOINTS)
@settings(max_examples=30)
@given(
    body=st.one_of(st.binary(max_size=400), st.text(st.characters(exclude_categories=["Cs"])).map(str.encode)),
    operation=st.sampled_from(["GetItem", "Query", "BatchGetItem", "TransactWriteItems"]),
    secret=printable,
    token=st.one_of(st.none(), printable),
)
def test_a_request_is_signed_as_botocore_signs_it(
    region: str, endpoint: str | None, url: str, body: bytes, operation: str, secret: str, token: str | None
) -> None:
    credentials = Credentials("AKIDEXAMPLE", secret, token)
    signed_at, expected = by_botocore(region, url, operation, body, credentials)
    client = Dynamo(region, endpoint, lambda: credentials, lambda: signed_at)

    headers = client.signed(operation, body, credentials, signed_at)

    assert headers["authorization"] == expected
    assert headers["host"] == url.partition("://")[2]
    assert headers.get("x-amz-security-token") == token


def test_a_kept_signing_key_is_dropped_when_the_day_or_the_secret_changes() -> None:
    """One client over days and secrets signs as new ones do."""
    kept = Dynamo("us-east-1", None, lambda: Credentials("A", "s"), lambda: datetime.now(UTC))
    for day, secret in [(1, "one"), (1, "two"), (2, "two"), (1, "one"), (1, "one")]:
        now, credentials = datetime(2026, 3, day, tzinfo=UTC), Credentials("A", secret)
        new = Dynamo("us-east-1", None, lambda: Credentials("A", "s"), lambda: datetime.now(UTC))
        assert kept.signed("GetItem", b"{}", credentials, now) == new.signed("GetItem", b"{}", credentials, now)


# ---------------------------------------------------------------- typed values

values = st.recursive(
    st.one_of(st.text(max_size=8), st.booleans(), st.integers(), st.binary(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=8,
)


@settings(max_examples=80)
@given(values)
def test_a_value_comes_back_as_it_was_stored_type_for_type(value: Any) -> None:
    back = unmarshalled(json.loads(json.dumps(marshalled(value))))
    assert (back, repr(back)) == (value, repr(value))


class Colour(StrEnum):
    """A text that is an enum."""

    RED = "red"


def test_values_are_written_in_dynamodbs_types() -> None:
    assert marshalled({"s": "咖啡", "n": -(10**20), "b": b"\x00\xff", "t": True, "l": ("a", [1]), "e": Colour.RED}) == {
        "M": {
            "s": {"S": "咖啡"},
            "n": {"N": "-100000000000000000000"},
            "b": {"B": "AP8="},
            "t": {"BOOL": True},
            "l": {"L": [{"S": "a"}, {"L": [{"N": "1"}]}]},
            "e": {"S": "red"},
        }
    }


@pytest.mark.parametrize("value", [1.0, None, {1}, object(), datetime(2026, 1, 1, tzinfo=UTC)])
def test_what_has_no_type_is_never_stored_wherever_it_stands(value: Any) -> None:
    for item in (value, [value], {"a": [1, {"b": value}]}):
        with pytest.raises(TypeError):
            marshalled(item)


@pytest.mark.parametrize("typed", [{"NULL": True}, {"SS": ["a"]}, {"L": [{"NS": ["1"]}]}])
def test_types_that_we_never_store_are_not_read(typed: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        unmarshalled(typed)


def test_a_number_that_is_not_whole_is_not_read() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        unmarshalled({"N": "1.5"})
