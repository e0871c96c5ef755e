"""The winners, retrained with new seeds and measured on the test split."""
