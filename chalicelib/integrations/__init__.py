"""Integration keys: how tills and partners call without a person."""
