"""Single sign-on: people log in at an OpenID provider, and their groups there decide their roles here.

`party.py` says what is agreed with the provider, `flow.py` binds a login to one browser, `provider.py` asks
the provider, `id_token.py` checks what it signed, `person.py` and `mapping.py` decide who comes in as what,
`admission.py` finds or makes the user, `api.py` has `/auth/oidc`.
"""
