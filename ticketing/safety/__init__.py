"""The safety sign-off of a ticket: who ticked and signed what before work began."""
