"""HTTP of texts of consents."""

from chalicelib.api.routing import Call, Routes
from chalicelib.consents import service
from chalicelib.consents.errors import ConsentTextDiffers
from chalicelib.consents.models import ConsentText, ConsentTextView, PublishConsentText
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.records import Record, Slug

consents = Routes("consents")


class ConsentTextsAsked(Record):
    """Which texts."""

    purpose: Slug | None = None
    """Those of one purpose; of all, when left out."""


class ConsentTextList(Record):
    """Texts of consents, newest first."""

    items: tuple[ConsentTextView, ...]
    next_cursor: None = None


@consents.get("/consent-texts")
def list_consent_texts(query: ConsentTextsAsked, call: Call) -> ConsentTextList:
    """The texts that members are asked to consent to, in Chinese and English; all that there ever were, newest first.

    A text is listed seconds after it was published.
    """
    return ConsentTextList(items=service.list_texts(call.house.table, query.purpose))


@consents.post("/consent-texts", status=201, refuses=(ConsentTextDiffers,))
def publish_consent_text(body: PublishConsentText, call: Call) -> Outcome[ConsentText]:
    """Publish a text for a purpose and a channel, or for all channels, under a version of your own.

    It stays for ever as it is: a consent says which text it was given to. The newest is the one to ask by. The same
    again changes nothing.
    """
    return service.publish_text(call.house.table, body, by=call.signed_in.subject, now=call.now)
