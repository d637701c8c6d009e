"""What each operation of the API asks for, written down by hand: whoever adds one decides it here too.

`any` is any credential that counts, `none` is nothing at all. `test_access_matrix.py` asks every operation
as every kind of caller and holds the answers against this.
"""

from __future__ import annotations

OPERATIONS: dict[str, tuple[str, ...]] = {
    "any": (
        "GET /api/v1/auth/me",
        "GET /api/v1/auth/permissions",
        "POST /api/v1/auth/logout",
        "POST /api/v1/auth/password",
    ),
    "audit:read": (
        "GET /api/v1/audit",
        "GET /api/v1/audit/export",
        "GET /api/v1/audit/verify",
    ),
    "billing:read": (
        "GET /api/v1/allocations",
        "GET /api/v1/allocations/{allocation_id}",
        "GET /api/v1/billing/estimate",
        "GET /api/v1/billing/seats",
        "GET /api/v1/billing/seats/{plan_id}",
        "GET /api/v1/billing/settings",
        "GET /api/v1/billing/summaries",
        "GET /api/v1/billing/summaries/{month}",
    ),
    "billing:write": (
        "POST /api/v1/allocations",
        "DELETE /api/v1/allocations/{allocation_id}",
        "POST /api/v1/billing/seats",
        "POST /api/v1/billing/seats/{plan_id}/end",
        "PUT /api/v1/billing/settings",
        "POST /api/v1/billing/summaries/{month}/finalise",
    ),
    "book:write": (
        "POST /api/v1/prices/compare",
        "POST /api/v1/prices/diff",
        "POST /api/v1/prices/updates",
    ),
    "cost:read": (
        "GET /api/v1/cost/breakdown",
        "GET /api/v1/cost/summary",
        "GET /api/v1/unallocated",
        "GET /api/v1/unpriced",
    ),
    "events:read": (
        "GET /api/v1/events",
        "GET /api/v1/events/{event_id}",
        "GET /api/v1/events/{event_id}/explain",
        "GET /api/v1/events/{event_id}/history",
        "POST /api/v1/prices/check",
        "GET /api/v1/usage",
    ),
    "jobs:read": (
        "GET /api/v1/scheduler/health",
        "GET /api/v1/scheduler/history",
        "GET /api/v1/scheduler/jobs",
        "GET /api/v1/scheduler/jobs/{job_id}",
        "GET /api/v1/scheduler/next-runs",
        "GET /api/v1/scheduler/runs/{run_id}",
        "GET /api/v1/scheduler/status",
    ),
    "jobs:write": (
        "POST /api/v1/scheduler/jobs/{job_id}/trigger",
        "POST /api/v1/scheduler/runs/{run_id}/cancel",
    ),
    "keys:read": (
        "GET /api/v1/keys",
        "GET /api/v1/keys/{key_id}",
    ),
    "keys:write": (
        "POST /api/v1/keys",
        "DELETE /api/v1/keys/{key_id}",
        "POST /api/v1/keys/{key_id}/rotate",
    ),
    "none": (
        "GET /health",
        "GET /live",
        "GET /ping",
        "GET /ready",
        "POST /api/v1/auth/accept",
        "POST /api/v1/auth/forgot",
        "GET /api/v1/auth/oidc/callback",
        "GET /api/v1/auth/oidc/login",
        "POST /api/v1/auth/login",
        "POST /api/v1/auth/refresh",
        "POST /api/v1/auth/token",
    ),
    "prices:read": (
        "GET /api/v1/billing/exchange-rates",
        "GET /api/v1/prices",
        "GET /api/v1/prices/aliases",
        "GET /api/v1/prices/history",
        "GET /api/v1/prices/overrides",
        "GET /api/v1/prices/report",
        "GET /api/v1/prices/show",
        "GET /api/v1/prices/sources",
        "GET /api/v1/prices/updates",
        "GET /api/v1/prices/updates/{number}",
        "GET /api/v1/prices/{provider}/{model}",
    ),
    "prices:write": (
        "POST /api/v1/billing/exchange-rates",
        "DELETE /api/v1/billing/exchange-rates/{rate_id}",
        "POST /api/v1/prices",
        "POST /api/v1/prices/aliases",
        "DELETE /api/v1/prices/aliases/{alias_id}",
        "DELETE /api/v1/prices/overrides/{override_id}",
        "POST /api/v1/reprice",
    ),
    "projects:read": (
        "GET /api/v1/projects",
        "GET /api/v1/projects/{project_id}",
    ),
    "projects:write": (
        "POST /api/v1/projects",
        "PATCH /api/v1/projects/{project_id}",
    ),
    "roles:read": (
        "GET /api/v1/role-bindings",
        "GET /api/v1/roles",
        "GET /api/v1/roles/{name}",
    ),
    "roles:write": (
        "DELETE /api/v1/role-bindings",
        "POST /api/v1/role-bindings",
        "POST /api/v1/roles",
        "DELETE /api/v1/roles/{name}",
        "PUT /api/v1/roles/{name}",
    ),
    "secrets:read": (
        "GET /api/v1/credentials",
        "GET /api/v1/credentials/{credential_id}",
    ),
    "secrets:write": (
        "POST /api/v1/credentials",
        "DELETE /api/v1/credentials/{credential_id}",
        "PUT /api/v1/credentials/{credential_id}/secret",
    ),
    "services:read": (
        "GET /api/v1/billing-rules",
        "POST /api/v1/billing-rules/try",
        "GET /api/v1/billing-rules/{rule_id}",
        "GET /api/v1/services",
        "GET /api/v1/services/{service_type}",
        "GET /api/v1/services/{service_type}/versions",
    ),
    "services:write": (
        "POST /api/v1/billing-rules",
        "DELETE /api/v1/billing-rules/{rule_id}",
        "POST /api/v1/services",
        "DELETE /api/v1/services/{service_type}",
        "PUT /api/v1/services/{service_type}",
    ),
    "system:read": (
        "GET /api/v1/health/",
        "GET /api/v1/secrets/keys",
        "GET /metrics",
    ),
    "system:write": (
        "POST /api/v1/secrets/check",
        "POST /api/v1/secrets/rotate",
    ),
    "tenant:read": (
        "GET /api/v1/limits",
        "GET /api/v1/privacy",
        "GET /api/v1/retention",
        "GET /api/v1/settings",
        "POST /api/v1/privacy/test",
    ),
    "tenant:write": (
        "PUT /api/v1/privacy",
        "PATCH /api/v1/settings",
    ),
    "tenants:read": (
        "GET /api/v1/tenants",
        "GET /api/v1/tenants/{tenant_id}",
    ),
    "tenants:write": (
        "POST /api/v1/tenants",
        "DELETE /api/v1/tenants/{tenant_id}",
        "PATCH /api/v1/tenants/{tenant_id}",
        "DELETE /api/v1/limits/{use}",
        "PUT /api/v1/limits/{use}",
        "DELETE /api/v1/quotas/{measure}",
        "PUT /api/v1/quotas/{measure}",
    ),
    "tokens:read": (
        "GET /api/v1/tokens",
        "GET /api/v1/tokens/{token_id}",
    ),
    "tokens:write": (
        "POST /api/v1/tokens",
        "DELETE /api/v1/tokens/{token_id}",
        "PATCH /api/v1/tokens/{token_id}",
    ),
    "usage:erase": (
        "DELETE /api/v1/projects/{project_id}",
        "POST /api/v1/erasures",
        "PUT /api/v1/retention",
        "DELETE /api/v1/usage",
    ),
    "usage:export": ("GET /api/v1/export",),
    "usage:ingest": (
        "POST /api/v1/events",
        "POST /api/v1/events/batch",
        "POST /api/v1/events/import",
    ),
    "users:read": (
        "GET /api/v1/auth/users",
        "GET /api/v1/auth/users/{user_id}",
        "GET /api/v1/users",
        "GET /api/v1/users/{user_id}",
    ),
    "users:write": (
        "POST /api/v1/auth/users",
        "PUT /api/v1/auth/users/{user_id}",
        "POST /api/v1/users",
        "DELETE /api/v1/users/{user_id}",
        "PATCH /api/v1/users/{user_id}",
        "POST /api/v1/users/{user_id}/link",
        "POST /api/v1/users/{user_id}/logout",
    ),
    "usage:read": (
        "GET /api/v1/analytics/top",
        "GET /api/v1/keys/{key_id}/usage",
        "GET /api/v1/quotas",
        "GET /api/v1/analytics/trends",
        "POST /api/v1/query",
    ),
    "usage:write": (
        "POST /api/v1/events/corrections",
        "GET /api/v1/events/quarantine",
        "POST /api/v1/events/quarantine/replay",
        "GET /api/v1/events/quarantine/{record_id}",
        "POST /api/v1/events/void",
        "PUT /api/v1/events/{event_id}",
    ),
}

UNDESCRIBED: dict[str, tuple[str, ...]] = {
    "none": (
        "GET /",
        "GET /docs",
        "GET /docs/assets/{name}",
        "GET /openapi.json",
        "GET /redoc",
        "GET /welcome",
        "HEAD /openapi.json",
    ),
    "system:write": (
        "GET /control/status",
        "POST /control/rebuild",
        "POST /control/stop",
        "POST /control/verify",
    ),
}
"""The same for what the OpenAPI document leaves out."""
