"""Users in the words of ReskPoints' clients: `/api/v1/auth/users`.

`api.py` translates; whatever it does is done by `identity/users`.
"""
