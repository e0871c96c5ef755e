"""Numbers and verdicts that the report gives."""
