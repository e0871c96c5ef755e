"""Reads run folders; draws tables, figures and the report. Needs no cluster and no torch."""
