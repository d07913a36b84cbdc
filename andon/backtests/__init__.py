"""Back-tests: stored history through the active detectors and through changed ones, and the same ticket rules."""
