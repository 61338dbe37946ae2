"""Deliveries: what was planned or decided to be sent is sent at most once, whatever crashes (ADR 0053)."""
