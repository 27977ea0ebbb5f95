"""What can be set from outside: one environment variable per field, of the same name in capitals."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import ByteSize, Field

from process.settings import MetricsSettings, Span


class WorkerSettings(MetricsSettings):
    """A worker's settings; read once, in `worker.__main__`, and handed on."""

    models_file: Path = Field(Path("models.toml"), description="The models this installation offers.")
    device: str = Field("auto", description='Where the model runs: "cpu", "cuda", "cuda:1"; "auto" prefers CUDA.')
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description='Precision of the model; "auto" is float16 on CUDA and float32 elsewhere.'
    )
    worker_memory: ByteSize | None = Field(
        None,
        gt=0,
        description="How much memory the weights of a worker's models may occupy together, such as 20GB, where it "
        "serves several: the least recently used leave. Any amount if absent.",
    )
    moderation: str = Field(
        "",
        description='Judges prompts and pictures: "package.module:function" (worker/moderation.py); nobody if empty.',
    )
    watermark: str = Field(
        "",
        description='Puts a watermark into pictures: "package.module:function" (worker/watermark.py); none if empty.',
    )
    content_credentials: str = Field(
        "",
        description='Signs pictures with C2PA Content Credentials: "chain.pem,key.pem", or a signer of yours, '
        '"chain.pem,package.module:function" (worker/credentials.py). Unsigned if empty.',
    )
    timestamp_url: str = Field(
        "",
        description="Of a time stamp authority (RFC 3161), which says when each picture was signed; asked for each "
        "picture. Nobody is asked if empty.",
    )
    lease: Span = Field(
        timedelta(seconds=10),
        description="How long after a worker's last sign of life its job is tried again; seconds.",
    )
    grace: Span = Field(
        timedelta(seconds=25),
        description="How long a worker that gets SIGTERM may work on its job before it gives it back; seconds.",
    )
    pod_name: str = Field(
        "",
        description="The worker's pod, in Kubernetes: while it has a job, the pod's deletion cost says so "
        "(worker/deletion_cost.py). Nothing is said if empty.",
    )
