"""The arithmetic of the ledger. Pure: an account and a command in, an account and entries out.

An account holds sums that commute: points earned per expiry day, points spent per period. What is left, what lapsed
and what is owed is derived by one walk over those sums (`balances.derive`), first expiring first out. So a purchase
that arrives late, a return and a spend may come in any order and leave the same state, and an expiry job that runs
late, twice or never cannot change what a member has. Entries book what the walk implies; they never decide it.
"""
