"""Tickets: exactly one per cause, finished by people."""
