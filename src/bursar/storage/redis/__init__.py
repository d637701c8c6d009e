"""What several servers share while they run: rate limits. Nothing of it is kept for good."""
