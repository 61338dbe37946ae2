"""The demo data of a new data folder: a coffee chain of four shops, five hundred members, a little over a year."""

from local.demo.seeding import seed

__all__ = ["seed"]
