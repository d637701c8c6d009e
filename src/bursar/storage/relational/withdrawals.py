"""Withdrawals in SQL: the columns of rows that are added and withdrawn, never changed, both ways.

The columns are those of `tables/agreements.py`; which rows are withdrawn is told by whoever keeps them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.pricing.exchange.rates import Withdrawal

if TYPE_CHECKING:
    from sqlalchemy import Row


def withdrawal_values(withdrawal: Withdrawal) -> dict[str, Any]:
    """What a withdrawal puts into its row."""
    return {
        "withdrawn_at": withdrawal.at,
        "withdrawn_by": withdrawal.by,
        "withdrawn_reason": withdrawal.reason,
    }


def withdrawal_of(row: Row[Any]) -> Withdrawal | None:
    """That a row was withdrawn; None where it counts."""
    if row.withdrawn_at is None:
        return None
    return Withdrawal(row.withdrawn_at, row.withdrawn_by, row.withdrawn_reason)
