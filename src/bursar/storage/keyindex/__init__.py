"""The key index: which event ids have been counted, and where. Derived from the journal."""
