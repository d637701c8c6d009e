"""Invented usage for `bursar demo`: 30 lively days of a company that doesn't exist.

Read in this order: `workloads.py` (what the company does with AI, as a table), `rhythm.py` (when),
`reporting.py` (in which of the accepted forms it says so), `generator.py` (puts them together).
Everything follows from a seed and an end: the same two give the same bytes.
"""

from __future__ import annotations
