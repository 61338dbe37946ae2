"""The scheme a merchant runs: currency, earn rate, tiers, expiry."""
