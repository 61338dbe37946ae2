"""Notices: what members are told of their own account without asking."""
