"""The lane: commands on hot accounts are carried out one behind the other, many in one transaction."""
