"""What the work comes to in numbers: K1 to K10, each with its formula, its bounds and the tickets it counts."""
