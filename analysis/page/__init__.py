"""The sections of the report, and the files that it is written as."""
