"""What those say who wait for the work: where is it, would you recommend us; and departments that wait for another."""
