"""Backups: one consistent set of an installation that goes on working, in one file, and back; see docs/backup.md."""


class NotDone(Exception):
    """It cannot be done like this; the text says why and what to do."""
