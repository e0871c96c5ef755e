"""What classifiers read from an autoencoder's codes while it trains, and which probe is the best
measure of it."""
