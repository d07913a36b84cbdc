"""Tickets counted by any of their fields: cross tables, heat maps, what is commonest; each number names its tickets."""
