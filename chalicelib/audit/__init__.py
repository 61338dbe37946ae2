"""The audit trail: who did what, when, why and from where, chained and anchored."""
