"""One file per verb of the command line, each with `run(arguments) -> exit code`."""


class Refused(Exception):
    """What was asked for cannot be done; the text says why and what to do."""
