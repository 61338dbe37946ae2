"""Use cases of deliveries: parts of runs, single messages, receipts, and what is read of them."""
