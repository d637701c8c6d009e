"""What usage is billed as: month summaries, seats, services and their rules, re-pricing, exports.

It stands on usage and prices and decides nothing about single calls that `pricing/` decides; engines
and SQL are in `storage/`.
"""
