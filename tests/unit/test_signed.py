"""Signatures for every service that the client serves, against botocore's."""

from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.storage.bus import EVENTBRIDGE
from chalicelib.storage.queues import SQS
from chalicelib.storage.signed import Credentials, Service, SignedClient

CASES = [
    (SQS, "us-east-1", None, "https://sqs.us-east-1.amazonaws.com"),
    (SQS, "cn-north-1", None, "https://sqs.cn-north-1.amazonaws.com.cn"),
    (SQS, "us-east-1", "http://127.0.0.1:4566", "http://127.0.0.1:4566"),
    (EVENTBRIDGE, "eu-central-1", None, "https://events.eu-central-1.amazonaws.com"),
    (EVENTBRIDGE, "cn-northwest-1", None, "https://events.cn-northwest-1.amazonaws.com.cn"),
]
TARGETS = {"sqs": ("AmazonSQS", "application/x-amz-json-1.0"), "events": ("AWSEvents", "application/x-amz-json-1.1")}


@pytest.mark.parametrize(("service", "region", "endpoint", "url"), CASES)
@settings(max_examples=20)
@given(
    body=st.text(st.characters(exclude_categories=["Cs"]), max_size=200).map(str.encode),
    token=st.one_of(st.none(), st.text("abcdefgh/+=", min_size=1, max_size=40)),
)
def test_a_request_is_signed_as_botocore_signs_it(
    service: Service, region: str, endpoint: str | None, url: str, body: bytes, token: str | None
) -> None:
    prefix, content_type = TARGETS[service.name]
    headers = {"Content-Type": content_type, "X-Amz-Target": f"{prefix}.SendMessageBatch"}
    request = AWSRequest(method="POST", url=url + "/", data=body, headers=headers)
    SigV4Auth(BotoCredentials("AKIDEXAMPLE", "secret", token), service.name, region).add_auth(request)
    signed_at = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    credentials = Credentials("AKIDEXAMPLE", "secret", token)
    client = SignedClient(service, region, endpoint, lambda: credentials, lambda: signed_at)

    signed = client.signed("SendMessageBatch", body, credentials, signed_at)

    assert signed["authorization"] == request.headers["Authorization"]
    assert signed["host"] == url.partition("://")[2]
    assert (signed["content-type"], signed["x-amz-target"]) == (content_type, f"{prefix}.SendMessageBatch")
