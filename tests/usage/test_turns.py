"""Large bodies and single posts on one event loop: who goes first, and that each gets on."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from bursar import clock
from bursar.usage.turns import PATIENCE, Turns

SLICE_SECONDS = 0.002
SLICES = 10


class _Passing:
    """Counts the loop's turns; in each of them a post is taken, if there are any."""

    def __init__(self, turns: Turns, *, posts: bool) -> None:
        self.count = 0
        self._turns = turns
        self._posts = posts

    async def go_on(self) -> None:
        while True:
            self.count += 1
            self._turns.posts += self._posts
            await asyncio.sleep(0)


async def _take_body(turns: Turns, passing: _Passing) -> list[tuple[int, float]]:
    """Work in slices; for each, in which turn it began, and the seconds that it was held up after."""
    turn = turns.of_large_body()
    slices: list[tuple[int, float]] = []
    for _ in range(SLICES):
        number, began = passing.count, clock.monotonic()
        while clock.monotonic() - began < SLICE_SECONDS:
            pass
        ended = clock.monotonic()
        await turn.end()
        slices.append((number, clock.monotonic() - ended))
    return slices


def _slices_of(bodies: int, *, posts: bool) -> list[list[tuple[int, float]]]:
    async def run() -> list[list[tuple[int, float]]]:
        turns = Turns()
        passing = _Passing(turns, posts=posts)
        others = asyncio.create_task(passing.go_on())
        await asyncio.sleep(0)
        try:
            return await asyncio.gather(*(_take_body(turns, passing) for _ in range(bodies)))
        finally:
            others.cancel()

    return asyncio.run(run())


def test_posts_that_come_without_end_are_let_pass_for_longer_than_a_slice_but_not_for_ever() -> None:
    """The body gets to its end; after each slice posts had several times as long."""
    (slices,) = _slices_of(1, posts=True)
    assert len(slices) == SLICES
    assert min(held for _, held in slices) >= PATIENCE * SLICE_SECONDS


def test_a_body_without_posts_beside_it_has_a_slice_in_every_turn() -> None:
    """Nothing is waited for that isn't there."""
    (slices,) = _slices_of(1, posts=False)
    numbers = [number for number, _ in slices]
    assert [later - earlier for earlier, later in pairwise(numbers)] == [1] * (SLICES - 1)


def test_of_several_bodies_one_has_a_slice_in_a_turn_and_each_gets_on() -> None:
    """However many there are, a post waits for one slice; and no body waits for another one's end."""
    bodies = _slices_of(3, posts=True)
    begun = sorted((number, body) for body, slices in enumerate(bodies) for number, _ in slices[1:])
    assert len({number for number, _ in begun}) == len(begun)
    assert [body for _, body in begun] == [0, 1, 2] * (SLICES - 1)
