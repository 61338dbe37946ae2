"""The ledger: accounts, entries, lots."""
