"""Changing what was recorded: correct, void, erase, reset, and put back what was kept aside.

Every change is a record of the journal (`usage/changes.py`); here is who may ask for what, what a job
writes in which order, and what it answers. `app/` has the endpoints, `storage/` does what records say.
"""
