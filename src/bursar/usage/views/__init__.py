"""Views of the one question: each reads its parameters, asks the store, and shapes the answer.

A view knows neither HTTP nor SQL. Its `read_…` function turns parameters into a value that is right
once it exists; that value's `answer(store)` asks and returns a `Shown`: a JSON body and a table.
"""
