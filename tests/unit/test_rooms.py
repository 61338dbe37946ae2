"""A function imports the routes that it is asked for, and finds whatever those lean on in other domains."""

import json
import subprocess
import sys

from chalicelib.api import doors
from chalicelib.api.rooms import ROOMS
from chalicelib.api.routing import FINDERS, ROUTES, WATCHERS

_ASK = """
import json, sys
import app
from local.gateway import LambdaContext, proxy_event
ours = [name for name in sys.modules if name.startswith("chalicelib.") and name.endswith(".routes")]
began = sorted(name.split(".")[1] for name in ours)
said = {}
for method, resource in json.loads(sys.argv[1]):
    scope = {"method": method, "headers": [], "query_string": b""}
    event = proxy_event(
        scope, resource=resource, path=resource, params=None, body=b"", binary_types=frozenset(), request_id="r")
    said[resource] = app.app(event, LambdaContext())["statusCode"]
from chalicelib.api.routing import _finder
found = _finder("card").part
print(json.dumps([began, said, found, "chalicelib.cards.routes" in sys.modules]))
"""


def test_the_app_begins_with_what_tills_wait_for_and_opens_the_rest_when_asked() -> None:
    asked = [("POST", "/v1/purchases"), ("GET", "/v1/tiers"), ("GET", "/v1/alerts"), ("GET", "/v1/nowhere")]
    code = "import os; os.environ.update(REGULARS_STAGE='test', REGULARS_STACK='rooms')\n" + _ASK
    done = subprocess.run([sys.executable, "-c", code, json.dumps(asked)], capture_output=True, text=True, check=True)
    began, said, found, opened = json.loads(done.stdout.splitlines()[-1])
    assert began == ["purchases"]
    assert found == "card_id"
    assert opened
    # Nobody is signed in, and there is no such table: what matters is that each is a route.
    assert said.pop("/v1/nowhere") == 405  # as Chalice says of what it does not know; API Gateway lets none through
    assert set(said.values()) <= {401, 500, 503}


def test_every_path_every_finder_and_whoever_watches_is_behind_a_door() -> None:
    assert set(doors.PATHS) == {route.path for route in ROUTES}
    assert {room for rooms in doors.PATHS.values() for room in rooms} <= set(ROOMS)
    assert set(doors.FINDERS) == set(FINDERS)
    assert set(doors.WATCHERS) == {watch.__module__.split(".")[1] for watch in WATCHERS}
