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


def test_a_program_can_be_sent_back_as_it_was_read(api: Api) -> None:
    api.buy(api.enrol()["member_id"])
    first = api.get("/v1/program").json
    ladder = {**first["ladder"], "tiers": first["ladder"]["tiers"][:2]}
    api.put("/v1/program", {**first, "ladder": ladder})
    read = api.get("/v1/program").json
    assert read["former_ladders"]
    same = api.put("/v1/program", read)
    assert same.status == 200
    assert {**same.json, "published_at": None, "version": None} == {**read, "published_at": None, "version": None}


def test_what_nobody_decides_of_a_program_is_not_changed_by_sending_it(api: Api) -> None:
    api.buy(api.enrol()["member_id"])
    read = api.get("/v1/program").json
    former = [{"ladder": read["ladder"], "through": "2025-12"}]
    for field, value in (("published_at", "2026-01-01T00:00:00Z"), ("former_ladders", former)):
        answer = api.put("/v1/program", {**read, field: value})
        assert (answer.status, answer.json["code"], answer.json["facts"]) == (
            409,
            "program_field_fixed",
            {"field": field},
        )
    assert api.get("/v1/program").json == read
    assert api.put("/v1/program", {**read, "unknown": 1}).json["errors"][0]["pointer"] == "/unknown"
