"""When a trial stops, and which paused trial goes on."""
