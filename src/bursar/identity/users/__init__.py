"""People who use a ledger: each belongs to one tenant, logs in with a password and has roles there.

`user.py` and `passwords.py` have the rules, `store.py` what is kept, `enrolment.py` who makes and removes
whom, `links.py` how they get to their password, `api.py` the endpoints. How somebody logs in is in
`identity/logins`, who comes from a provider in `identity/sign_on`, what they may do in `identity/roles.py`.
"""
