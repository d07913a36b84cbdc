"""Quality work that grows out of a root cause: sister machines, frozen batches, the way to a lot and its supplier."""
