"""Transfers: points that one member gives to another, who accepts them or does not."""
