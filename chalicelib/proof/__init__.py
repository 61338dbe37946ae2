"""Proof: whether the ledger holds, and how anyone can tell."""
