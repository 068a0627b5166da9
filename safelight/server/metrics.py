"""Metrics for Prometheus: what the server counts, and how it stands when asked. No ids, no names, no addresses."""

import threading
from collections.abc import Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from safelight.server.domain.ports.state import StoreState
from safelight.server.domain.readiness import READY

CONTENT_TYPE = CONTENT_TYPE_LATEST
_REQUEST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
_DISK_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_GROUP = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# A client may send any word as a method, and each would become a row that is kept for ever.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Answered:
    """One route's requests that ended alike: a count, their time, and how many were refused by which code."""

    __slots__ = ("count", "refused", "took")

    def __init__(self, count: Counter, took: Histogram, refused: Counter | None) -> None:
        self.count = count
        self.took = took
        self.refused = refused


class Metrics:
    """The port `Meter`, in a registry of its own: two servers in one process do not mix."""

    def __init__(self, version: str) -> None:
        # A second row for each counter, which says since when it counts, would help nobody here.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library forgot to say that it returns nothing
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._known: dict[tuple[str, str, int, str], _Answered] = {}
        self._making = threading.Lock()
        self._make_requests()
        self._make_storage()
        self._gauge("info", "The version that runs; always 1.", "version").labels(version).set(1)

    def answered(self, method: str, route: str, status: int, code: str, seconds: float) -> None:
        """Count a request by its route's pattern, method, status and refusal."""
        key = (method, route, status, code)
        answered = self._known.get(key) or self._make_answered(key)
        answered.count.inc()
        answered.took.observe(seconds)
        if answered.refused is not None:
            answered.refused.inc()

    def committed(self, entries: int, seconds: float) -> None:
        """Count a group of commits; *seconds* is its transaction with its sync."""
        self._entries.inc(entries)
        self._groups.observe(entries)
        self._commits.observe(seconds)

    def received(self, size_bytes: int) -> None:
        """Count bytes of uploads."""
        self._received.inc(size_bytes)

    def sent(self, size_bytes: int) -> None:
        """Count bytes of downloads."""
        self._sent.inc(size_bytes)

    def synced(self, seconds: float) -> None:
        """Count a sync of an upload's bytes."""
        self._syncs.observe(seconds)

    def appending(self, change: int) -> None:
        """Count those who append at this moment."""
        self._appending.inc(change)

    def job_ended(self, job: str, seconds: float, *, well: bool) -> None:
        """Note when a job last ended well, how long it took, and how often it failed."""
        self._job_s.labels(job).set(seconds)
        self._job_failures.labels(job).inc(0 if well else 1)
        if well:
            self._job_time.labels(job).set_to_current_time()

    def look(self, stores: Mapping[str, StoreState], parts: Mapping[str, str]) -> None:
        """Take how the stores are, and which parts of the server are ready."""
        for part, code in parts.items():
            self._ready.labels(part).set(code == READY)
        for name, state in stores.items():
            for gauge, value in (
                (self._size, state.size_bytes),
                (self._free, state.free_bytes),
                (self._total, state.total_bytes),
            ):
                if value is not None:
                    gauge.labels(name).set(value)

    def stand(self, *, sockets: int, open_uploads: int | None) -> None:
        """Take how many bells are heard, and how many uploads are open where the database says so."""
        self._sockets.set(sockets)
        if open_uploads is not None:
            self._open_uploads.set(open_uploads)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def _make_answered(self, key: tuple[str, str, int, str]) -> _Answered:
        method, route, status, code = key
        told = method if method in _METHODS else "other"
        made = _Answered(
            self._requests.labels(told, route, str(status) if status else "cut"),
            self._requests_s.labels(told, route),
            self._refusals.labels(code) if code else None,
        )
        if told == method:
            with self._making:
                self._known[key] = made
        return made

    def _make_requests(self) -> None:
        labels = ("method", "route", "status")
        self._requests = self._counter("requests", 'Requests; status "cut" where the connection ended first.', *labels)
        self._requests_s = self._histogram("request_seconds", "Time of requests.", _REQUEST_S, *labels[:2])
        self._refusals = self._counter("refusals", "Refusals by their code.", "code")
        self._received = self._counter("upload_bytes", "Bytes of uploads that arrived.")
        self._sent = self._counter("download_bytes", "Bytes of blobs that went out.")
        self._appending = self._gauge("uploads_appending", "Requests that append to an upload now.")
        self._open_uploads = self._gauge("uploads_open", "Uploads that are begun and not complete.")
        self._sockets = self._gauge("bell_sockets", "WebSockets that wait for the bell.")
        self._job_time = self._gauge("job_last_success_timestamp_seconds", "When a job last ended well.", "job")
        self._job_s = self._gauge("job_last_seconds", "How long a job took when it last ran.", "job")
        self._job_failures = self._counter("job_failures", "How often a job failed.", "job")

    def _make_storage(self) -> None:
        self._entries = self._counter("commit_entries", "Entries that were handed to the database.")
        self._groups = self._histogram("commit_group_entries", "Entries of one transaction.", _GROUP)
        self._commits = self._histogram("commit_seconds", "Time of a group's transaction, sync included.", _DISK_S)
        self._syncs = self._histogram("upload_sync_seconds", "Time to make an upload's bytes durable.", _DISK_S)
        self._ready = self._gauge("ready", "Whether a part of the server is ready, as /ready says.", "part")
        self._size = self._gauge("storage_size_bytes", "What a store holds, where it knows.", "store")
        self._free = self._gauge("storage_free_bytes", "Free space on a store's disk.", "store")
        self._total = self._gauge("storage_total_bytes", "Size of a store's disk.", "store")

    def _counter(self, name: str, sentence: str, *labels: str) -> Counter:
        return Counter(f"safelight_{name}", sentence, labels, registry=self._registry)

    def _gauge(self, name: str, sentence: str, *labels: str) -> Gauge:
        return Gauge(f"safelight_{name}", sentence, labels, registry=self._registry)

    def _histogram(self, name: str, sentence: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"safelight_{name}", sentence, labels, registry=self._registry, buckets=buckets)
