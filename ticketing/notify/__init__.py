"""How tickets reach people: one file per channel."""
