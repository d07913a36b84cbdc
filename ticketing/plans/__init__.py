"""Preventive maintenance (EN 13306: predetermined): what is due when by calendar or meter, and the tickets of it."""
