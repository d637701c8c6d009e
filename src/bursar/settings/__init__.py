"""The settings: one frozen object, read once at start. Nothing else in Bursar reads the environment.

`fields.py` has every setting with its meaning, form and default; `reading.py` collects the values and
refuses wrong ones with the whole list. `docs/reference/settings.md` and `.env.example` are generated
from the fields.
"""

from __future__ import annotations

from bursar.settings.fields import Settings, form_of, names_of
from bursar.settings.reading import load_settings

__all__ = ["Settings", "form_of", "load_settings", "names_of"]
