"""Stories of a plant as files: told step by step to the real line on a virtual clock, and checked over REST."""
