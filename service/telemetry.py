"""What FastAPI's own OpenTelemetry may tell, where an operator has installed an SDK for it.

FastAPI 0.165 brings OpenTelemetry's API and no SDK, so nothing is recorded unless `fastapi[opentelemetry]` is installed
and `FASTAPI_OTEL_AUTO_CONFIGURE=true` and an OTLP endpoint are set. Then it draws the spans of requests, below the
client's `traceparent`, which the job carries on as well.
"""

from fastapi.telemetry import TelemetryConfig

TELEMETRY: TelemetryConfig = {
    # Its metrics would be ours twice over, and its logs hold what was wrong with a body, which is a prompt.
    "metrics": False,
    "logs": False,
    # A span holds the query, and an artifact's is its signature.
    "exclude": lambda scope: scope["path"].startswith("/v1/artifacts/"),
}
