"""REST, live updates and the console."""
