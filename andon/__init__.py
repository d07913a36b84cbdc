"""Andon: the words at the bottom and the wiring at the top."""
