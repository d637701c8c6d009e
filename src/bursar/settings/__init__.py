"""The settings: one frozen object, read once at start. Nothing else in Bursar reads the environment.

Each group of settings has a module with their meanings, forms and defaults, and `fields.py` is all of them;
`reading.py` collects the values and refuses wrong ones with the whole list. `docs/reference/settings.md` and
`.env.example` are generated from the fields.
"""

from __future__ import annotations

from bursar.settings.fields import Settings, form_of, meaning_of, names_of
from bursar.settings.reading import load_settings

__all__ = ["Settings", "form_of", "load_settings", "meaning_of", "names_of"]
