"""A trained model: its checkpoint, what it can do, and its answers."""
