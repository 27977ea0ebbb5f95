# Every image: `service` (API, reaper, outbox; no torch), `worker` for a CPU, and `worker-gpu`, whose host needs NVIDIA's
# driver and container toolkit; the CUDA libraries come with torch.
#   docker build --target service -t p2p-edit-service:0.1.0 .
#   docker build --target worker -t p2p-edit-worker:0.1.0 .
#   docker build -f Dockerfile.gpu -t p2p-edit-worker-gpu:0.1.0 .
# Dockerfile.gpu is a link to this file, and the last stage is built where none is named.
# What an image was built from: `--label org.opencontainers.image.revision=$(git rev-parse HEAD)`, and ...source=URL.
FROM python:3.12-slim AS packages
LABEL org.opencontainers.image.version="0.1.0" org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --create-home --uid 1000 p2p
WORKDIR /app
# Before the code: it changes more often, and torch is not to be installed anew each time.
COPY requirements requirements
RUN requirements/install.sh -r requirements/service.txt && requirements/slim.sh

# What the API reads of a model whose prompts have segments: configurations and tokenizers, and no weights.
FROM packages AS configurations
COPY scenes/flow/model scenes/flow/model
RUN find scenes -name "*.safetensors" -delete

FROM packages AS service
COPY LICENSE THIRD_PARTY_NOTICES.md models.toml ./
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
COPY router router
COPY scenes/model/tokenizer scenes/model/tokenizer
COPY scenes/model/vocabulary.txt scenes/model/
COPY --from=configurations /app/scenes scenes
# Bytecode is made at the first start, of what is imported: all packages' would be a fifth of the image.
ENV PYTHONPYCACHEPREFIX=/tmp/pycache
# By number: Kubernetes' runAsNonRoot cannot look a name up.
USER 1000
# A signal reaches the process itself: no shell in between.
CMD ["python", "-m", "service"]

# What a worker on any device has beside that.
FROM service AS worker-code
COPY worker worker
COPY scenes/model scenes/model
COPY scenes/tokens/model scenes/tokens/model
COPY scenes/flow/model scenes/flow/model
COPY scenes/loras scenes/loras

FROM packages AS worker
# CPU builds of torch; PyPI's own bring CUDA along.
RUN requirements/install.sh --extra-index-url https://download.pytorch.org/whl/cpu -r requirements/worker-cpu.txt \
 && requirements/bytecode.sh
COPY --from=worker-code /app ./
USER 1000
CMD ["python", "-m", "worker", "--model", "scenes"]

FROM packages AS worker-gpu
ENV DEVICE=cuda
RUN requirements/install.sh -r requirements/worker-cuda.txt \
 && requirements/bytecode.sh
COPY --from=worker-code /app ./
USER 1000
CMD ["python", "-m", "worker", "--model", "scenes"]
