"""Use cases of purchases: record one, tell its delivery, return and restate it, read them."""
