"""The composition root: settings in, a running platform out; HTTP on top of it.

Start at `build.py`. Nothing below `app` knows HTTP status codes or how the parts are wired.
"""
