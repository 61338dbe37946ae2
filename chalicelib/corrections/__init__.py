"""Corrections: one ledger entry in full, and taking it back."""
