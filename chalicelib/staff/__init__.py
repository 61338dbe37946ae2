"""Who works here, in which roles and shops; and roles of the merchant's own."""
