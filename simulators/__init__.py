"""The plant in tests: machines with known truth, speaking real protocols."""
