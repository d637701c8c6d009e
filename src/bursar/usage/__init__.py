"""What happened: the usage event, the one door it enters by, and the one question asked of it.

`ingest.py` accepts, `query.py` asks, `store.py` says what any usage store must promise. Provider
numbers become units in `providers/`, foreign formats become events in `formats/`.
"""
