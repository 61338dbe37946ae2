"""HTTP of proof: receipts, and the keys to check them with."""

from chalicelib.api.routing import Call, Routes
from chalicelib.kernel.ids import EntryId
from chalicelib.points.errors import EntryUnknown
from chalicelib.proof import service
from chalicelib.proof.errors import ReceiptsUnavailable
from chalicelib.proof.models import Receipt, ReceiptKeys
from chalicelib.proof.service import Roots, roots_of

proof = Routes("proof")


@proof.get("/point-entries/{entry_id}/receipt", refuses=(EntryUnknown,))
def get_receipt(entry_id: EntryId, call: Call) -> Receipt:
    """A signed receipt of a ledger entry, which anyone can check without us.

    It holds the entry as the chain of hashes covers it, our signature, and, from the next daily root on, what leads
    from the entry to that root. Notes and baskets are not in it. `docs/check_receipt.py` checks it offline.
    """
    roots = _roots(call)
    return service.find_receipt(call.house.table, roots, call.house.signer, entry_id, now=call.now)


@proof.get("/receipt-keys")
def list_receipt_keys(call: Call) -> ReceiptKeys:
    """The public keys that receipts and roots are, or were, signed with; the current one first."""
    return service.list_receipt_keys(_roots(call), call.house.signer)


def _roots(call: Call) -> Roots:
    settings = call.house.settings
    if settings.roots is None or settings.signing_key is None:
        raise ReceiptsUnavailable
    return roots_of(call.house.roots)
