"""Texts of consents: what members are asked, word for word, by purpose and channel."""
