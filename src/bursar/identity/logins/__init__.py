"""Logging in: from a password to a session, its short access tokens and its rotating refresh tokens.

`access_token.py` signs and reads, `attempts.py` says when wrong passwords are too many, `session.py` has the
values, `logins.py` puts them together, `people.py` finds the caller of each request, `api.py` has `/auth`.
`following.py` turns links of `identity/users` into passwords, `forgetting.py` mails one to who forgot theirs.
"""
