"""An issuer's keys, fetched when they are needed and kept for a while.

A key that we do not know may be a new one, so it is looked for once more; but at most once a minute, or whoever sends
tokens with invented key names makes us call the issuer for each. Without keys nothing passes.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from chalicelib.identity.errors import IssuerUnreachable
from chalicelib.identity.fetching import NotFetched
from chalicelib.identity.issuers import Algorithm, Issuer, is_safe
from chalicelib.identity.profile import unique
from chalicelib.identity.signatures import KeyUnfit, PublishedKey, published_key

MAX_AGE = 15 * 60.0
"""Seconds after which keys are fetched again: a key that an issuer takes back is good for that long."""
STALE_MAX = 6 * 60 * 60.0
"""Seconds for which old keys do while the issuer does not answer."""
UNKNOWN_EVERY = 60.0
"""Seconds between two looks for a key that is not among those we have."""
FAILED_EVERY = 5.0
"""Seconds between two tries while the issuer does not answer; each may take `fetching.SECONDS_MAX`."""
KEYS_MAX = 100

Fetch = Callable[[str], bytes]
"""Gets what an address answers, or raises `NotFetched`."""


@dataclass(frozen=True, slots=True)
class _Known:
    keys: Mapping[tuple[str, Algorithm], PublishedKey]
    at: float


class IssuerKeys:
    """The keys of one issuer, as this process knows them.

    Args:
        fetch: gets a document.
        local: whether the issuer may answer on this machine without TLS.
    """

    def __init__(self, issuer: Issuer, fetch: Fetch, *, local: bool) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._local = local
        self._known: _Known | None = None
        self._tried_at = float("-inf")

    def find(self, kid: str, algorithm: Algorithm, now: float) -> PublishedKey | None:
        """A key by its name; None when the issuer has no such key.

        Args:
            now: seconds since 1970.

        Raises:
            IssuerUnreachable: there are no keys, or too old ones, and the issuer does not answer.
        """
        known = self._known
        if known is None or now - known.at >= MAX_AGE:
            known = self._fresh(now)
        found = known.keys.get((kid, algorithm))
        if found is None and now - self._tried_at >= UNKNOWN_EVERY:
            found = self._fresh(now).keys.get((kid, algorithm))
        return found

    def _fresh(self, now: float) -> _Known:
        """Keys fetched now, or those that we have while they may still be used."""
        if now - self._tried_at >= FAILED_EVERY:
            self._tried_at = now
            with suppress(
                NotFetched, ValueError, RecursionError
            ):  # old ones do for a while; their age is checked below
                self._known = _Known(self._fetched(), now)
        if self._known is None or now - self._known.at >= STALE_MAX:
            raise IssuerUnreachable
        return self._known

    def _fetched(self) -> Mapping[tuple[str, Algorithm], PublishedKey]:
        """The keys that the issuer publishes now.

        Raises:
            NotFetched: it does not answer.
            ValueError: it answers something else.
        """
        listed = self._listed()
        if not isinstance(listed, list) or len(listed) > KEYS_MAX:
            raise ValueError("no list of keys")
        found: dict[tuple[str, Algorithm], PublishedKey | None] = {}
        for jwk in listed:
            for algorithm in self._issuer.algorithms if isinstance(jwk, dict) else ():
                try:
                    key = published_key(jwk, algorithm)
                except KeyUnfit:
                    continue  # for something else, as issuers publish keys to encrypt with too
                place = (key.kid, algorithm)
                found[place] = None if place in found else key  # two of one name: neither can be meant
        return {place: key for place, key in found.items() if key is not None}

    def _listed(self) -> object:
        if self._issuer.jwks is not None:
            return list(self._issuer.jwks)
        return _document(self._fetch(self._issuer.jwks_uri or self._discovered())).get("keys")

    def _discovered(self) -> str:
        """Where the issuer says that its keys are.

        Raises:
            NotFetched: it does not answer.
            ValueError: it is another issuer that answers, or its keys are at no safe address.
        """
        said = _document(self._fetch(self._issuer.discovery_uri))
        url = said.get("jwks_uri")
        if said.get("issuer") != self._issuer.issuer or not isinstance(url, str) or not is_safe(url, local=self._local):
            raise ValueError("not this issuer's discovery document")
        return url


def _document(raw: bytes) -> dict[str, Any]:
    value = json.loads(raw.decode(), object_pairs_hook=unique)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value
