# The image of every process on a CPU: `service` (API, reaper, outbox; no torch) and `worker`.
#   docker build --target service -t p2p-edit-service:0.1.0 .
#   docker build --target worker -t p2p-edit-worker:0.1.0 .
FROM python:3.12-slim AS service
LABEL org.opencontainers.image.version="0.1.0" org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --create-home --uid 1000 p2p
WORKDIR /app
COPY requirements/constraints.txt requirements/service.txt requirements/
RUN pip install --no-cache-dir -r requirements/service.txt
COPY p2p p2p
COPY process process
COPY jobs jobs
COPY prompts prompts
COPY picture_files picture_files
COPY webhooks webhooks
COPY outbox outbox
COPY reaper reaper
COPY admin admin
COPY layers layers
COPY service service
COPY models.toml ./
COPY scenes/model/tokenizer scenes/model/tokenizer
COPY scenes/model/vocabulary.txt scenes/model/
# By number: Kubernetes' runAsNonRoot cannot look a name up.
USER 1000
# A signal reaches the process itself: no shell in between.
CMD ["python", "-m", "service"]

FROM service AS worker
USER root
COPY requirements/worker.txt requirements/worker-cpu.txt requirements/
# CPU builds of torch; PyPI's own bring CUDA along.
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -r requirements/worker-cpu.txt
COPY worker worker
COPY scenes/model scenes/model
COPY scenes/loras scenes/loras
USER 1000
CMD ["python", "-m", "worker", "--model", "scenes"]
