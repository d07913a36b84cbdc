"""Reports as PDF: what they say is gathered here as data, and set by one template."""
