"""Whose signature a manifest may have."""

from chalicelib.proof import store as proof_store
from chalicelib.proof.models import ReceiptKey
from chalicelib.proof.service import public_key
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.signing import FileSigner
from local.settings import Settings


def trusted_keys(chosen: Settings) -> list[ReceiptKey]:
    """The public keys that a data folder trusts: those beside its roots, and its own."""
    found = proof_store.list_keys(FolderObjects(chosen.roots)) if chosen.roots.exists() else []
    if chosen.signing_key_file.exists():
        found.append(public_key(FileSigner(chosen.signing_key_file)))
    return found
