"""Receipts: what providers tell of messages after they took them, and what people reply."""
