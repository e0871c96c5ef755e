"""How fast this project is beside stock Ray Tune and the tutorials."""
