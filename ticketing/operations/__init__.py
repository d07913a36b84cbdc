"""Work in several steps: who did which operation when, in what order, what was measured, and what was out of limit."""
