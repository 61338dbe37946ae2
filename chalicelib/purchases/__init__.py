"""Purchases: a sale, decided and written as one ledger entry."""
