"""The kept price book: prices as dated rows that are only ever added, from named sources.

A source (`source.py`) is read from an installed package or a file, an update (`update.py`) is what it
changes, and a `PriceKeeper` (`keeper.py`) keeps updates and hands the book to whoever rates.
"""
