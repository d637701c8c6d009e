"""Who asks: tenants, projects, API keys, and the caller that each request becomes.

It decides whether a credential may do something and for which tenant. It stores nothing itself:
`storage/relational` implements its `IdentityStore`.
"""
