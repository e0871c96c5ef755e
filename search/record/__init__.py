"""What happened in a search: the ledger, and the state that it gives."""
