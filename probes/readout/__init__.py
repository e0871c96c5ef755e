"""What can be read from an autoencoder's codes while it trains, and which probe says so best."""
