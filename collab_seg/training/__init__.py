"""Steps, runs and scores."""
