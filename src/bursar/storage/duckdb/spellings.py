"""The second fingerprint that a few usage records have: of their numbers as the caller spelled them.

Records of earlier days were fingerprinted so, and the key index has what they said. It is read from
the lines, and only where a delivery looks like a conflict, because a column for it would cost each
record something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MARK = b'"spelled_fingerprint":'


class _Spelled(msgspec.Struct):
    seq: int
    spelled_fingerprint: int | None = None


_decode = msgspec.json.Decoder(_Spelled).decode


def spelled_prints(payloads: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """Seq and second fingerprint of each record that has one; lines that can't be read have none."""
    for payload in payloads:
        if _MARK not in payload:
            continue
        for line in payload.splitlines():
            if _MARK in line:
                try:
                    found = _decode(line)
                except msgspec.DecodeError:
                    continue
                if found.spelled_fingerprint is not None:
                    yield found.seq, found.spelled_fingerprint
