"""Staff over HTTP: who is let in, and that changes bite with the next request."""

from dataclasses import replace
from typing import Any

from tests.http.conftest import Look
from tests.makers import Api, Reply, a_purchase_body, a_token


class Directed:
    """Somebody whose token says that their record counts."""

    def __init__(self, api: Api, subject: str, *claimed: str) -> None:
        self.api = api
        self.subject = subject
        self.claimed = claimed or ("clerk",)

    def send(self, method: str, path: str, body: Any = None) -> Reply:
        """Any request of theirs."""
        token = a_token(
            self.api.token_key, self.api.issuer, self.api.audience, self.api.clock(),
            sub=self.subject, roles=list(self.claimed), directory=True, shop_id="shp_claimed",
        )  # fmt: skip
        return self.api.send(method, path, body, Authorization=f"Bearer {token}")


def invited(api: Api, subject: str, *roles: str, **fields: Any) -> dict[str, Any]:
    """Somebody who was let in."""
    body = {"issuer": api.issuer, "subject": subject, "name": subject, "roles": roles, **fields}
    reply = api.post("/v1/staff", body)
    assert reply.status == 201, reply.text
    made: dict[str, Any] = reply.json
    return made


def test_who_works_here_is_let_in_by_their_record(api: Api) -> None:
    ann = Directed(api, "ann", "admin")
    assert ann.send("GET", "/v1/staff").status == 200, "no record yet: what the token claims counts"
    made = invited(api, "ann", "clerk", shop_ids=["shp_main"])
    assert (ann.send("GET", "/v1/staff").code, ann.send("GET", "/v1/program").status) == ("permission_missing", 200)
    assert api.get(f"/v1/staff/{made['staff_id']}").json == made
    assert [each["staff_id"] for each in api.get("/v1/staff").json["items"]] == [made["staff_id"]]

    path = f"/v1/staff/{made['staff_id']}"
    edited = api.patch(path, {"version": 1, "roles": ["auditor"], "reason": "audits now"})
    assert (edited.status, edited.json["roles"], edited.json["version"]) == (200, ["auditor"], 2)
    assert ann.send("GET", "/v1/staff").status == 200
    assert api.post(f"{path}/suspensions", {"reason": "left"}).status == 201
    refused = ann.send("GET", "/v1/program")
    assert (refused.status, refused.code) == (403, "staff_suspended")
    assert ann.send("GET", "/v1/health").status == 200
    assert api.post(f"{path}/reinstatements", {"reason": "back"}).json["status"] == "active"
    assert ann.send("GET", "/v1/program").status == 200


def test_roles_of_the_merchants_own(api: Api, look: Look) -> None:
    body = {"version": 0, "name": "Barista", "permissions": {"points:read": "shop", "staff:read": "all"}, "reason": "x"}
    made = api.put("/v1/roles/barista", body)
    assert (made.status, made.json["version"], made.json["holders"]) == (200, 1, 0)
    assert [each["role"] for each in api.get("/v1/roles").json["items"]][-1] == "barista"
    assert api.get("/v1/roles/admin").json["built_in"]
    invited(api, "ann", "barista")
    assert Directed(api, "ann").send("GET", "/v1/roles/barista").json["holders"] == 1
    before = look()
    for name, sent, code in (
        ("admin", body, "role_built_in"),
        ("barista", body, "role_moved"),
        ("other", {**body, "permissions": {"points:read": "self"}}, "request_invalid"),
        ("other", {**body, "permissions": {"nothing:at_all": "all"}}, "request_invalid"),
        ("other", {**body, "permissions": {}}, "request_invalid"),
        ("Other", body, "id_malformed"),
    ):
        assert api.put(f"/v1/roles/{name}", sent).code == code, name
    assert api.post("/v1/roles/barista/removals", {"reason": "x"}).code == "role_in_use"
    assert api.get("/v1/roles/integration").code == "role_unknown"
    assert look() == before


def test_who_was_demoted_does_nothing_more(api: Api, look: Look) -> None:
    ann, bob = invited(api, "ann", "admin"), invited(api, "bob", "admin")
    one, other = Directed(api, "ann"), Directed(api, "bob")
    path = f"/v1/staff/{bob['staff_id']}"
    own = one.send("POST", f"/v1/staff/{ann['staff_id']}/suspensions", {"reason": "me"})
    assert (own.status, own.code) == (403, "own_rights")
    assert one.send("PATCH", path, {"version": 1, "roles": ["clerk"], "reason": "no"}).status == 200
    before = look()
    revenge = other.send("POST", f"/v1/staff/{ann['staff_id']}/suspensions", {"reason": "revenge"})
    assert (revenge.status, revenge.code) == (403, "permission_missing")
    last = api.post(f"/v1/staff/{ann['staff_id']}/suspensions", {"reason": "x"})
    assert (last.status, last.code) == (409, "last_admin")
    assert look() == before


def test_staff_are_managed_for_all_shops_or_not_at_all(api: Api) -> None:
    body = {"version": 0, "name": "HR", "permissions": {"staff:manage": "shop", "staff:read": "shop"}, "reason": "x"}
    assert api.put("/v1/roles/hr", body).status == 200
    invited(api, "ann", "hr", shop_ids=["shp_main"])
    assert Directed(api, "ann").send("GET", "/v1/staff").code == "permission_missing"


def test_a_sale_to_ones_own_membership_says_so_by_the_record(api: Api, look: Look) -> None:
    own, other = (api.enrol()["member_id"] for _ in range(2))
    invited(api, "ann", "clerk", shop_ids=["shp_main"], member_id=own)
    for whom in (own, other):
        body = a_purchase_body({"member_id": whom}, order_no=whom)
        assert Directed(api, "ann").send("POST", "/v1/purchases", body).status == 201
    marked = {key.pk.split("#")[2]: "sf" in item for key, item in look().items() if key.pk.startswith("O#")}
    assert marked == {own: True, other: False}


def test_a_house_without_a_directory_takes_tokens_as_they_are(api: Api, house: Any) -> None:
    from chalicelib.runtime import wiring

    wiring.use(replace(house, gate=wiring.gate(house.settings)))
    assert Directed(api, "ann", "admin").send("GET", "/v1/staff").status == 200
