"""The steps from each schema of the store to the next, by Alembic: `versions/r0001_...py`, numbered in a line."""
