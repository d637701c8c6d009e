"""People who use a ledger: each belongs to one tenant, logs in with a password and has roles there.

`user.py` and `passwords.py` have the rules, `store.py` what is kept, `api.py` the endpoints. How somebody
logs in is in `identity/logins`, what they may then do in `identity/roles.py`.
"""
