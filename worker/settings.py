"""What can be set from outside: one environment variable per field, of the same name in capitals."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WorkerSettings(BaseSettings):
    """A worker's settings; read once, in `worker.__main__`, and handed on."""

    model_config = SettingsConfigDict(frozen=True)

    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis of the job records and the queues.")
    models_file: Path = Field(Path("models.toml"), description="The models this installation offers.")
    storage_url: str = Field(
        "data/artifacts", description="Where artifacts are kept: a directory, file:///..., s3://bucket/prefix."
    )
    device: str = Field("auto", description='Where the model runs: "cpu", "cuda", "cuda:1"; "auto" prefers CUDA.')
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description='Precision of the model; "auto" is float16 on CUDA and float32 elsewhere.'
    )
