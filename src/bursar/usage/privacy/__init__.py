"""Privacy: what is taken out of events before anything is kept of them, by rules that each tenant chooses."""
