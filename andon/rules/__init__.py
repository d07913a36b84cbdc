"""What planners configure besides machines and people: one file for each topic of the plant document."""
