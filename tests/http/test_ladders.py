"""Former ladders, which stay in the program so that past months are judged by them."""

from tests.makers import Api


def test_a_ladder_that_was_in_force_is_kept_with_its_last_month(api: Api) -> None:
    api.buy(api.enrol()["member_id"])
    read = api.get("/v1/program").json
    body = {name: value for name, value in read.items() if name not in ("published_at", "former_ladders")}
    steeper = {**body["ladder"], "tiers": body["ladder"]["tiers"][:2]}
    published = api.put("/v1/program", {**body, "ladder": steeper}).json
    assert published["former_ladders"] == [{"ladder": body["ladder"], "through": "2026-03"}]
    assert api.get("/v1/program").json == published
    assert api.get("/v1/program", version=2).json == published
