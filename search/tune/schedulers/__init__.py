"""When a trial stops, and which stopped trial goes on: a module for each kind of scheduler."""
