"""Money of one currency seen in another: dated exchange rates, entered or imported, and exact conversion.

Amounts keep their own currency everywhere; only an answer that was asked to shows a sum in one currency,
with every rate that is in it. Nothing here knows usage; `usage/views/converted.py` does.
"""
