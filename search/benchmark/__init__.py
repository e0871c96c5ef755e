"""How fast this project is, compared with stock Ray Tune and the tutorials."""
