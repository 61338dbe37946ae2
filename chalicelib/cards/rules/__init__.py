"""The arithmetic of cards: what a command takes from principal, bonus or visits, and what goes back. Pure.

A stored-value card keeps money in buckets of its account, by their last day: the principal in the one that never
closes, each bonus in its own. A spend takes from all of them at once, and its entry says how much from which (`sums`),
so that a refund of it puts back the same, and `proof.rules.verify` proves principal and bonus like any lots.

A count card has one bucket, its visits. Uses are consumed like points; an extension moves the bucket to a later day.
"""
