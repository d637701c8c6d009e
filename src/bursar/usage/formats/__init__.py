"""Foreign formats turned into usage events: one small translator each, never a second pipeline."""
