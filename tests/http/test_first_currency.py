"""The currency is the merchant's choice until the first purchase is recorded."""

from typing import Any

from chalicelib.programs.service import ProgramBook
from chalicelib.purchases.service import recording
from chalicelib.runtime.wiring import House
from tests.makers import Api, a_purchase, a_purchase_body


def _publish(api: Api, **terms: Any) -> Any:
    read = api.get("/v1/program").json
    body = {**read, **terms}
    for name in ("published_at", "former_ladders"):
        del body[name]
    return api.put("/v1/program", body)


def test_a_new_merchant_chooses_dollars_and_may_change_their_mind(api: Api) -> None:
    assert _publish(api, currency="USD", country="US", time_zone="America/New_York").status == 200
    assert _publish(api, currency="EUR").status == 200
    assert _publish(api, currency="USD").json["currency"] == "USD"

    bought = api.buy(api.enrol()["member_id"], currency="USD")
    assert (bought["currency"], bought["program_version"]) == ("USD", 4)


def test_the_first_purchase_fixes_the_currency(api: Api) -> None:
    api.buy(api.enrol()["member_id"])

    refused = _publish(api, currency="USD")
    assert (refused.status, refused.code) == (409, "currency_fixed")
    assert api.get("/v1/program").json["currency"] == "CNY"
    assert _publish(api, language="en").status == 200


def test_a_refused_or_dry_first_purchase_fixes_nothing(api: Api) -> None:
    member = {"member_id": api.enrol()["member_id"]}
    assert api.post("/v1/purchases", a_purchase_body(member, currency="USD")).code == "currency_wrong"
    assert api.post("/v1/purchases", a_purchase_body(member, dry_run=True)).status == 200
    assert _publish(api, currency="USD").status == 200


def test_a_process_that_is_seconds_behind_neither_refuses_the_new_currency_nor_takes_the_old(
    api: Api, house: House
) -> None:
    behind = ProgramBook(house.table)
    member_id = api.enrol()["member_id"]
    assert behind.current(api.clock()).currency == "CNY"
    _publish(api, currency="USD")

    def buy(currency: str) -> Any:
        command = a_purchase(member_id, currency=currency)
        return recording.record_purchase(
            house.table, house.keyring, behind, command, now=api.clock(), language=behind.current(api.clock()).language
        )

    assert buy("USD").value.currency == "USD"
    assert behind.putting_in_use(api.clock()) == ()


def test_an_old_currency_never_slips_in_after_a_change(api: Api, house: House) -> None:
    import pytest

    from chalicelib.purchases.errors import CurrencyWrong

    behind = ProgramBook(house.table)
    member_id = api.enrol()["member_id"]
    assert behind.current(api.clock()).currency == "CNY"
    _publish(api, currency="USD")
    with pytest.raises(CurrencyWrong):
        recording.record_purchase(
            house.table,
            house.keyring,
            behind,
            a_purchase(member_id),
            now=api.clock(),
            language=behind.current(api.clock()).language,
        )
    assert api.get(f"/v1/members/{member_id}/points").json["lifetime"]["earned"] == 0
