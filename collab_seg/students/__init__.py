"""The two networks that learn together, and their weights."""
