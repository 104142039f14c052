"""The share of the facility that user computing may take: who reserved how much of it, and who is refused why."""
