"""The audit trail's form: what a record says, what of it is shown, and how records are chained."""
