"""How numbers, names, configurations and tables are written."""
