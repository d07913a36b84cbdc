"""What a ticket costs, and who agrees to it: hours, sums, levels of approval, each decided once."""
