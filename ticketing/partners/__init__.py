"""Two-way sync with systems that keep the state of tickets too: an ERP, a CRM (rule 85, K5)."""
