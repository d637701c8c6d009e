"""The services that are there without a registration, with the fields that their events are known by.

Their events are taken as clients of several generations send them, so no field of theirs is required.
They can't be changed; a tenant bills them by rules of its own. The systems that Bursar replaces state no
prices for them, so none are made up: without a rule, and where the price book knows none, they are unpriced.
"""

from __future__ import annotations

from bursar.billing.registered import RegisteredService

BUILT_IN_SERVICES: dict[str, RegisteredService] = {
    service.service_type: service
    for service in (
        RegisteredService(
            service_type="llm_service",
            service_name="Language models",
            description="Calls of language models; priced by the price book.",
            optional_fields=(
                "model",
                "model_version",
                "temperature",
                "max_tokens",
                "input_tokens",
                "output_tokens",
                "total_tokens",
                "latency_ms",
            ),
        ),
        RegisteredService(
            service_type="document_processor",
            service_name="Document processing",
            description="Documents that are read or converted; counts pages, characters and bytes.",
            optional_fields=(
                "document_type",
                "processing_type",
                "file_format",
                "pages_processed",
                "characters_extracted",
                "processing_time_ms",
                "file_size_bytes",
            ),
        ),
        RegisteredService(
            service_type="api_service",
            service_name="API calls",
            description="Calls of any API; counts requests and bytes in both directions.",
            optional_fields=(
                "endpoint",
                "method",
                "api_version",
                "request_count",
                "response_time_ms",
                "payload_size_bytes",
                "response_size_bytes",
                "status_code",
            ),
        ),
        RegisteredService(
            service_type="custom",
            service_name="Anything else",
            description="Any metered act; every number among its metrics is counted.",
        ),
    )
}
