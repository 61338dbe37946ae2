"""Cards that hold money (储值卡) or visits (次卡): accounts of their own in the one ledger."""
