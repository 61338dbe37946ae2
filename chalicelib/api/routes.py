"""Routes that belong to no domain: is it up, and what does it take."""

import json
from functools import cache

from chalicelib.api.routing import Call, Routes
from chalicelib.kernel.records import Record

api = Routes("api")


class Health(Record):
    """The API is up."""

    status: str
    stage: str


@api.get("/health")
def get_health(call: Call) -> Health:
    """Whether the API answers."""
    return Health(status="ok", stage=call.house.settings.stage)


@api.get("/openapi.json")
def get_openapi() -> str:
    """This API's OpenAPI 3.1 document."""
    return _document()


@cache
def _document() -> str:
    from chalicelib.api.openapi import document  # noqa: PLC0415 - 40 ms that only a reader of the document pays

    return json.dumps(document(), ensure_ascii=False)
