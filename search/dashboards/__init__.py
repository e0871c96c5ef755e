"""`--log-to`: the trials of a search in the tool where a group watches its runs."""
