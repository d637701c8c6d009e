"""What a unit costs: the price book, how a model is matched in it, and how usage is rated.

Rating is pure: units, a subject and a book in, a `Rating` out. It knows nothing of events,
journals or stores.
"""
