"""A merchant's gateway: signed as codes are, guarded, asked again with the same id."""

import hmac
import json
from collections.abc import Sequence

import pytest

from chalicelib.providers.port import ProviderMisconfigured
from chalicelib.providers.webhook import Webhook
from chalicelib.storage.egress import Answer as Said
from chalicelib.storage.egress import called
from tests.providers.fake import Reply, serving
from tests.providers.makers import KEY, NOW, a_text, a_webhook, now


def test_a_message_is_signed_and_names_its_delivery() -> None:
    with serving(lambda _: Reply(202, {"ref": "abc"})) as server:
        (result,) = a_webhook(server.host).send([a_text(3)])
    (request,) = server.asked
    stamp = int(NOW.timestamp())
    mac = hmac.digest(KEY, f"{stamp}.".encode() + request.body, "sha256").hex()
    assert request.headers["regulars-signature"] == f"t={stamp},v1={mac}"
    assert request.headers["idempotency-key"] == a_text(3).delivery_id
    assert json.loads(request.body)["to"] == "+8613800000003"
    assert (result.status, result.provider_ref) == ("sent", "abc")


@pytest.mark.parametrize(("status", "found"), [(422, "refused"), (400, "refused"), (413, "refused"), (500, "unknown")])
def test_what_a_status_says(status: int, found: str) -> None:
    with serving(lambda _: Reply(status)) as server:
        (result,) = a_webhook(server.host).send([a_text()])
    assert (result.status, result.code) == (found, f"Http{status}")


@pytest.mark.parametrize("status", [301, 302, 401, 403, 404])
def test_a_gateway_that_is_elsewhere_or_does_not_know_us_is_for_somebody_to_mend(status: int) -> None:
    with serving(lambda _: Reply(status, b"", {"Location": "http://127.0.0.1/"})) as server:
        with pytest.raises(ProviderMisconfigured):
            a_webhook(server.host).send([a_text()])
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/in", "https://127.0.0.1/in", "https://[::1]/in", "https://169.254.169.254/in", "ftp://x/y"],
)
def test_it_is_not_led_into_our_own_network(url: str) -> None:
    with pytest.raises(ProviderMisconfigured) as wrong:
        Webhook(url, KEY, now, "sms").send([a_text()])
    assert wrong.value.code == "GatewayNotAllowed"


def test_a_name_that_points_inside_is_not_called_either() -> None:
    def reach(*given: object, **named: object) -> Said:
        def resolve(_host: str, _port: int) -> Sequence[str]:
            return ["93.184.216.34", "10.0.0.7"]

        return called(*given, **named, resolve=resolve)  # type: ignore[arg-type]

    with pytest.raises(ProviderMisconfigured):
        Webhook("https://gateway.example/in", KEY, now, "sms", reach=reach).send([a_text()])
