"""Exports: every event of a window as a file that other programs load, and the sums behind FOCUS.

An export is read in pieces, each a question of its own, all about the same moment: the position in the
journal that the first piece saw. So it takes little memory, can go on where it was cut off, and holds no
transaction open while a slow reader reads. The forms of FOCUS are made in `billing/focus`.
"""
