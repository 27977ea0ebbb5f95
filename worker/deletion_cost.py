"""Tells Kubernetes, while this worker has a job, that its pod is one to remove last.

A Deployment that gets smaller removes pods with the least `controller.kubernetes.io/pod-deletion-cost` first. Without
it any pod may go, and a job is begun anew elsewhere while an idle worker stays.

It is written by a thread, and no job ever waits for it: where the API server does not answer or refuses, that is logged
and tried again. It is off unless POD_NAME is set, as the chart in deploy/helm sets it.
"""

import json
import logging
import os
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager as Block
from contextlib import contextmanager, nullcontext
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

log = logging.getLogger(__name__)

ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
#: Of a pod without the annotation the cost is 0.
IDLE, BUSY = "0", "100"
#: Where a pod finds its service account: `token`, `namespace` and the certificate `ca.crt` of the API server.
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
#: Seconds without a job until a worker says that it is idle. A queue that is never empty costs no writes between jobs:
#: Kubernetes asks that the annotation is not changed often.
SETTLED = 5.0
#: Seconds until the API server is asked again that did not answer or refused.
AGAIN = 30.0
#: Seconds within which it has to answer.
_PATIENCE = 10.0


class DeletionCost:
    """Writes the cost of one pod.

    Args:
        pod: its name.
        server: the API server: https://HOST:PORT.
        account: a folder as `ACCOUNT` is.
    """

    def __init__(
        self, pod: str, server: str, account: Path = ACCOUNT, *, settled: float = SETTLED, again: float = AGAIN
    ) -> None:
        self._pod, self._server, self._account = pod, server, account
        self._settled, self._again = settled, again
        self._changed = threading.Condition()
        self._wanted, self._is_over, self._complaint = IDLE, False, ""
        # Not known: a container that was killed while it had a job is started anew in its pod, which says so still.
        self._written = ""
        self._thread = threading.Thread(target=self._keep, name="deletion cost", daemon=True)

    @contextmanager
    def told(self) -> Iterator[Callable[[], Block]]:
        """Within the block the cost is kept up to date; gives `busy`."""
        self._thread.start()
        try:
            yield self.busy
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Within the block the worker has a job."""
        self._want(BUSY)
        try:
            yield
        finally:
            self._want(IDLE)

    def _want(self, cost: str) -> None:
        with self._changed:
            self._wanted = cost
            self._changed.notify_all()

    def _keep(self) -> None:
        while (cost := self._due()) is not None:
            complaint = self._write(cost)
            with self._changed:
                if not complaint:
                    self._written = cost
                else:
                    self._changed.wait_for(lambda: self._is_over, timeout=self._again)
            if complaint and complaint != self._complaint:
                log.warning("Kubernetes may remove this worker while it has a job: %s", complaint)
            self._complaint = complaint

    def _due(self) -> str | None:
        """The cost that is to be written, once there is one; None when all is over."""
        with self._changed:
            while not self._is_over:
                if self._wanted == self._written:
                    self._changed.wait()
                elif self._wanted == BUSY or not self._written:
                    return self._wanted
                elif not self._changed.wait_for(lambda: self._is_over or self._wanted == BUSY, timeout=self._settled):
                    return IDLE
        return None

    def _write(self, cost: str) -> str:
        """Writes it; gives what went wrong, or nothing."""
        try:
            namespace, token = (self._read(name) for name in ("namespace", "token"))
            request = Request(
                f"{self._server}/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(self._pod, safe='')}",
                json.dumps({"metadata": {"annotations": {ANNOTATION: cost}}}).encode(),
                # Read at each time: Kubernetes puts a new token there within the hour.
                {"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"},
                method="PATCH",
            )
            context = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
            # The API server is in the cluster: no proxy that the environment names leads there.
            with build_opener(ProxyHandler({}), HTTPSHandler(context=context)).open(
                request, timeout=_PATIENCE
            ) as answer:
                answer.read()
        except (OSError, HTTPException) as error:
            if isinstance(error, HTTPError):
                error.close()  # it holds the connection
            return f"{self._server} did not take {ANNOTATION}: {str(error) or type(error).__name__}"
        except ValueError:  # of a header; its message has the token in it
            return f"the files in {self._account} are not those of a service account"
        return ""

    def _read(self, name: str) -> str:
        return (self._account / name).read_text(encoding="ascii").strip()


def deletion_cost(pod: str, environment: Mapping[str, str] = os.environ) -> Block[Callable[[], Block]]:
    """A block that gives what to do a job in.

    Args:
        pod: this worker's; nothing is written where it is empty.
        environment: says where the API server is, as every container's does in Kubernetes.
    """
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT_HTTPS", "443")
    if pod and not host:
        log.warning("POD_NAME is %r, but this is no pod of Kubernetes: there is no KUBERNETES_SERVICE_HOST", pod)
    if not pod or not host:
        return nullcontext(nullcontext)
    return DeletionCost(pod, f"https://{f'[{host}]' if ':' in host else host}:{port}").told()
