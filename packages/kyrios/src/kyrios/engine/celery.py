"""``celery://127.0.0.1:6379/0``: workers of Celery behind a Redis; ``kyrios worker`` starts one.

Kyrios sends a unit when all before it have succeeded: Celery carries single messages and knows no graph, for its
canvas takes tens of milliseconds a task, or never ends. Units that take less time than a message travel several in
one. Each message is claimed in Redis by the worker that executes it, and the claim lapses when the worker dies: then it
is sent again, as when the broker loses it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import celery
import redis
from kombu.exceptions import OperationalError

from kyrios._house.backends import BackendURL
from kyrios._house.ids import uuid7
from kyrios.engine.course import Attempt
from kyrios.engine.port import Job, Runner, Target
from kyrios.engine.remote import Crew, Outcome, drive, script
from kyrios.engine.workers import counted
from kyrios.errors import BackendUnavailable
from kyrios.extension import engine_options
from kyrios.graph import Graph

_TASK = "kyrios.perform"
_KEPT = 24 * 3600  # seconds that a result waits for a driver that has stopped
_PATIENCE = 60.0  # seconds that a Redis, or the last worker, may be gone
_SMALL = 0.005  # seconds that a unit may take to travel with others: a message alone costs as much
_TOGETHER = 8  # of them at least, where there are so many
_FULL = 0.05  # seconds that a message of them should take at most
_PRESENT = 15  # seconds that a worker counts as present without a sign of life


class CeleryEngine:
    """Sends units as JSON through a Redis and takes their outcomes from it."""

    name = "celery"

    def __init__(self, url: BackendURL) -> None:
        self.address = url
        self.queue = url.query.get("queue", "kyrios")
        self.lease = counted(url, "lease", 10)
        self.slots = counted(url, "slots", 64)

    def render(self, graph: Graph, target: Target) -> Mapping[str, str]:
        """Return one Python script that runs the flow on Celery's workers."""
        return script(graph, target, self.name)

    def run(self, job: Job) -> None:
        """Run the tasks of `job`, see `Runner.run`."""
        crew = _CeleryCrew(self)
        try:
            drive(job, crew, self.slots)
        finally:
            crew.close()

    def work(self, processes: int) -> None:
        """Execute what runs send, in `processes` processes, until the process is told to end."""
        server = self.server()

        def be_there() -> None:
            while True:
                _patiently(lambda: server.set(self.presence, processes, ex=_PRESENT))
                sleep(_PRESENT / 3)

        threading.Thread(target=be_there, daemon=True, name="kyrios-presence").start()
        options = ["--loglevel=WARNING", f"--concurrency={processes}", "--pool=prefork"]
        alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        self.app().worker_main(["--quiet", "worker", *alone, *options])

    @property
    def presence(self) -> str:
        """The key that is there while a worker is; it holds the number of its processes."""
        return presence_of(self.queue)

    def app(self) -> Any:
        """Return the Celery application that driver and workers share."""
        app = celery.Celery("kyrios", broker=_redis_url(self.address), set_as_current=False)
        app.conf.update(
            accept_content=["json"],
            broker_connection_retry_on_startup=True,
            broker_transport_options={"socket_timeout": 30, "socket_connect_timeout": 5, "socket_keepalive": True},
            task_default_queue=self.queue,
            task_ignore_result=True,  # outcomes take their own way, one list for each run
            task_serializer="json",
            # Claims see to lost workers, so a message is done with as soon as a worker has it.
            task_acks_late=False,
            worker_enable_remote_control=False,
            worker_hijack_root_logger=False,
            worker_prefetch_multiplier=4,
            worker_send_task_events=False,
            worker_cancel_long_running_tasks_on_connection_loss=False,
        )
        server = self.server()

        @app.task(name=_TASK, ignore_result=True)  # type: ignore[untyped-decorator, unused-ignore]
        def perform_orders(identity: str, answers: str, orders: list[str], lease: int) -> None:
            _perform(server, identity, answers, orders, lease)

        return app

    def server(self) -> redis.Redis:
        """Return a client of the Redis; nothing is sent yet."""
        return redis.Redis.from_url(_redis_url(self.address), socket_connect_timeout=5, socket_timeout=30)


def presence_of(queue: str) -> str:
    """Return the key that is there while a worker takes units from `queue`."""
    return f"kyrios:workers:{queue}"


def _redis_url(url: BackendURL) -> str:
    from urllib.parse import quote

    user = f"{quote(url.user, safe='')}:{quote(url.password, safe='')}@" if url.user or url.password else ""
    host = f"[{url.host}]" if ":" in url.host else url.host or "127.0.0.1"
    return f"redis://{user}{host}:{url.port or 6379}/{url.path.strip('/') or 0}"


def _perform(server: redis.Redis, identity: str, answers: str, orders: Sequence[str], lease: int) -> None:
    """Execute the orders of a message in a worker, if nobody else does or has."""
    from kyrios.execution import perform

    claim = f"kyrios:claim:{identity}"
    if not _patiently(lambda: server.set(claim, "held", nx=True, ex=lease)):
        return
    with _held(server, claim, lease):
        outcomes = [perform(order) for order in orders]

    def answer() -> None:
        with server.pipeline() as together:
            together.rpush(answers, json.dumps([identity, outcomes]))
            together.expire(answers, _KEPT)
            together.set(claim, "done", ex=_KEPT)
            together.execute()

    _patiently(answer)


@contextmanager
def _held(server: redis.Redis, claim: str, lease: int) -> Iterator[None]:
    """Renew `claim` while the code inside runs; most units end before the first time, and need no thread."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.is_set():
            _patiently(lambda: server.set(claim, "held", ex=lease))
            ended.wait(lease / 3)

    timer = threading.Timer(lease / 3, renew)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        ended.set()
        timer.cancel()
        timer.join()


def _patiently(call: Any) -> Any:
    """Call `call`, again for a minute where the Redis is gone: it may be starting again."""
    until = monotonic() + _PATIENCE
    while True:
        try:
            return call()
        except (redis.ConnectionError, redis.TimeoutError, OperationalError) as exc:
            if monotonic() > until:
                raise BackendUnavailable(f"celery: its Redis is gone: {exc}", hint="kyrios doctor") from exc
            sleep(0.2)


class _CeleryCrew:
    def __init__(self, engine: CeleryEngine) -> None:
        self.engine = engine
        self.app = engine.app()
        self.server = engine.server()
        self.answers = f"kyrios:answers:{uuid7()}"
        self.sent: dict[str, _Sent] = {}
        self.small: dict[str, float] = {}  # what was called and took hardly any time, with the seconds
        self.held: list[tuple[Attempt, str]] = []  # units of that kind which are not sent yet
        self.light = 0  # messages with such units that are under way
        self.seen = monotonic()
        self.next_look = self.seen + engine.lease
        try:
            self.processes = int(self.server.get(engine.presence) or 1)
        except redis.RedisError as exc:
            raise BackendUnavailable(
                f"celery: {engine.address} does not answer: {exc}", hint="kyrios config show --origin"
            ) from exc

    def close(self) -> None:
        self.server.close()
        self.app.close()

    def send(self, attempts: Sequence[Attempt], orders: Sequence[str]) -> None:
        for attempt, order in zip(attempts, orders, strict=True):
            queue = str(engine_options(attempt.tasks, "celery").get("queue", self.engine.queue))
            if attempt.group or attempt.task.call not in self.small or queue != self.engine.queue:
                self._send([(attempt, order)], queue)
            else:
                self.held.append((attempt, order))
        self._send_held()

    def _send_held(self) -> None:
        """Send small units in a few large messages: while every process has one, and one to come, they gather."""
        free = 2 * self.processes - self.light
        if free <= 0 or not self.held:
            return
        share = max(_TOGETHER, -(-len(self.held) // free))
        for _ in range(free):
            count, seconds = 0, 0.0
            while count < min(share, len(self.held)) and (count < _TOGETHER or seconds < _FULL):
                seconds += self.small.get(self.held[count][0].task.call, _SMALL)
                count += 1
            if count:
                self._send(self.held[:count], self.engine.queue, light=True)
                self.held = self.held[count:]

    def _send(self, pairs: Sequence[tuple[Attempt, str]], queue: str, *, light: bool = False) -> None:
        sent = _Sent([attempt for attempt, _ in pairs], [order for _, order in pairs], queue, self.engine.lease, light)
        identity = uuid7()
        self.sent[identity] = sent
        self.light += light
        self._publish(identity, sent)

    def _publish(self, identity: str, sent: _Sent) -> None:
        body = (identity, self.answers, sent.orders, self.engine.lease)
        with self.app.producer_pool.acquire(block=True) as producer:
            _patiently(
                lambda: self.app.send_task(
                    _TASK,
                    body,
                    queue=sent.queue,
                    task_id=identity,
                    producer=producer,
                    ignore_result=True,
                    add_to_parent=False,
                    retry=False,
                )
            )

    def collect(self, timeout: float) -> Sequence[Outcome]:
        self._send_held()
        found = _patiently(lambda: self._answers(timeout))
        outcomes: list[Outcome] = []
        for text in found:
            identity, answers = json.loads(text)
            # What was sent again may be answered twice; the first answer counts.
            if sent := self.sent.pop(identity, None):
                self.light -= sent.light
                outcomes += zip(sent.attempts, answers, strict=True)
                self._note_how_long(sent.attempts, answers)
        if monotonic() >= self.next_look:
            self._send_what_is_lost()
        return outcomes

    def _note_how_long(self, attempts: Sequence[Attempt], answers: Sequence[str]) -> None:
        taken: dict[str, list[float]] = {}
        for attempt, answer in zip(attempts, answers, strict=True):
            taken.setdefault(attempt.task.call, []).append(json.loads(answer).get("detail", {}).get("seconds", 1.0))
        for call, found in taken.items():
            # The median: on a busy machine one of many small units may wait for its turn inside.
            seconds = median([*found, self.small[call]] if call in self.small else found)
            if seconds < _SMALL:
                self.small[call] = seconds
            else:
                self.small.pop(call, None)

    def _answers(self, timeout: float) -> list[bytes]:
        found: Any = self.server.lpop(self.answers, 200)
        if not found and timeout > 0:
            first: Any = self.server.blpop([self.answers], timeout=max(0.01, timeout))
            found = [first[1]] if first else []
        return list(found or [])

    def _send_what_is_lost(self) -> None:
        """Send again what nobody holds: its worker died, the broker lost it, or it waits; it is claimed only once."""
        now = monotonic()
        self.next_look = now + self.engine.lease / 2
        queues = sorted({sent.queue for sent in self.sent.values()} or {self.engine.queue})
        there = _patiently(lambda: self.server.mget([presence_of(queue) for queue in queues]))
        empty = [queue for queue, sign in zip(queues, there, strict=True) if sign is None]
        if not empty:
            self.seen = now
        elif now - self.seen > _PATIENCE:
            raise BackendUnavailable(
                f"celery: nobody takes units from the queue {empty[0]}",
                hint=f"kyrios worker --engine {self._address_of(empty[0])}",
            )
        due = [identity for identity, sent in self.sent.items() if now >= sent.look]
        if not due:
            return
        claims = _patiently(lambda: self.server.mget([f"kyrios:claim:{identity}" for identity in due]))
        for identity, claim in zip(due, claims, strict=True):
            sent = self.sent[identity]
            sent.look = now + self.engine.lease
            if claim is None:
                # Where all workers are busy it only waits; then ever fewer copies of it join the queue.
                sent.patience *= 2
                sent.look = now + sent.patience
                self._publish(identity, sent)

    def _address_of(self, queue: str) -> str:
        address = self.engine.address
        return str(address) if queue == self.engine.queue else f"'{str(address).partition('?')[0]}?queue={queue}'"

    def give_up(self, attempts: Sequence[Attempt]) -> None:
        if not self.sent:
            return
        with self.server.pipeline() as together:
            for identity in self.sent:
                together.set(f"kyrios:claim:{identity}", "cancelled", nx=True, ex=_KEPT)
            together.expire(self.answers, 60)
            try:
                together.execute()
            except redis.RedisError:
                return  # what has not begun will find its run cancelled in the record


class _Sent:
    def __init__(
        self, attempts: Sequence[Attempt], orders: Sequence[str], queue: str, lease: float, light: bool
    ) -> None:
        self.attempts, self.orders, self.queue, self.light = attempts, orders, queue, light
        self.patience = float(lease)
        self.look = monotonic() + lease


if TYPE_CHECKING:
    _fits: type[Runner] = CeleryEngine
    _works: type[Crew] = _CeleryCrew
