"""The mirror against a real server: all values arrive, whatever goes away in the middle, and nothing arrives twice."""

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from andon.config import ConfigError, Influx, check
from andon.events import SECOND_NS, Quality
from ingest.influx import Away, Mirror, Rejected, make_post
from ingest.series import SeriesStore
from ingest.series_order import Order
from ingest.series_sealing import seal
from ingest.series_tail import DAY_NS
from tests.series_rows import Row, block
from tests.victoria import Victoria

ROOT = Path(__file__).parents[2]
START = 20_000 * DAY_NS


@pytest.fixture
def victoria(tmp_path: Path) -> Iterator[Victoria]:
    server = Victoria(tmp_path / "victoria")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SeriesStore]:
    with contextlib.closing(SeriesStore(tmp_path / "series.sqlite")) as made:
        yield made


class Part:
    """The mirror's process, as the supervisor runs it."""

    def __init__(self, data: Path, settings: Influx) -> None:
        job = {"role": "influx", "data": str(data), "influx": settings.model_dump(mode="json")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "andon", "_part"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdin
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        self.said: queue.SimpleQueue[dict[str, object]] = queue.SimpleQueue()
        self.told: list[dict[str, object]] = []
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def until(self, wanted: Callable[[dict[str, object]], bool], wait_s: float = 20.0) -> dict[str, object]:
        deadline_s = time.monotonic() + wait_s
        while time.monotonic() < deadline_s:
            with contextlib.suppress(queue.Empty):
                said = self.said.get(timeout=0.2)
                if wanted(said):
                    return said
        raise TimeoutError("the mirror did not say so")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._listening.join()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                assert pipe
                pipe.close()

    def stop(self) -> int:
        assert self._process.stdin
        self._process.stdin.close()
        return self._process.wait(10)

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            word = json.loads(line)
            if "status" in word:
                self.said.put(word["status"])
            elif "tell" in word:
                self.told.append(word["tell"])


def rows_of(batch: int) -> list[Row]:
    generator = np.random.default_rng(batch)
    return [
        (START + (batch * 50 + number) * SECOND_NS, f"DE/level {number % 3}", float(value), 0)
        for number, value in enumerate(np.round(generator.normal(50, 10, 50), 4))
    ]


def wanted(batches: range) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for batch in batches:
        for at_ns, channel, value, _ in rows_of(batch):
            found.setdefault(channel, []).append((at_ns // 1_000_000, value))
    return found


def mirrored(victoria: Victoria, field: str = "value") -> dict[str, list[tuple[int, float]]]:
    found = {}
    for key, rows in victoria.everything().items():
        tags = dict(key)
        if tags["__name__"] == f"andon_{field}":
            assert (tags["asset"], tags["unit"]) == ("L1, press=2", "mm/s")
            found[tags["channel"]] = rows
    return found


def write(store: SeriesStore, batch: int) -> None:
    store.write(batch, [block(rows_of(batch), asset="L1, press=2", units="mm/s")])


def test_all_values_arrive_though_the_server_and_the_mirror_go_away_in_between(
    victoria: Victoria, store: SeriesStore, tmp_path: Path
) -> None:
    settings = Influx(url=victoria.url, lines=120, retry_min_s=0.05, retry_max_s=0.2)
    for batch in range(1, 11):
        write(store, batch)
    part = Part(tmp_path, settings)
    try:
        part.until(lambda said: said["sent"] == 500 and said["waiting"] == 0)
        victoria.stop()
        for batch in range(11, 21):
            write(store, batch)
        assert part.until(lambda said: said["connected"] is False)["waiting"] == 500
        part.kill()
        seal(Order(str(tmp_path / "series.sqlite"), START, mirrored=True))  # the tail stays for the mirror
        part = Part(tmp_path, settings)
        part.until(lambda said: said["connected"] is False)
        victoria.start()
        part.until(lambda said: said["connected"] is True and said["waiting"] == 0)
        for batch in range(21, 26):
            write(store, batch)
        last = part.until(lambda said: said["sent"] == 750 and said["waiting"] == 0)
        assert (last["dropped"], last["rejected"]) == (0, 0)
        assert part.stop() == 0
    finally:
        part.kill()
    assert mirrored(victoria) == wanted(range(1, 26))
    assert {quality for rows in mirrored(victoria, "quality").values() for _, quality in rows} == {0}


def test_what_is_sent_again_is_there_once(victoria: Victoria, store: SeriesStore, tmp_path: Path) -> None:
    write(store, 1)
    for _ in range(2):
        with mirror(tmp_path, Influx(url=victoria.url)) as following:
            assert following.step() == 50
            following._conn.execute("UPDATE mirror SET through = -1")  # killed before the cursor moved
    assert mirrored(victoria) == wanted(range(1, 2))


def test_a_value_that_is_no_number_leaves_its_quality(
    victoria: Victoria, store: SeriesStore, tmp_path: Path
) -> None:
    bad = int(Quality.BAD)
    rows: list[Row] = [
        (START, "a", float("nan"), bad),
        (START + SECOND_NS, "a", 1e-7, 0),
        (START, "b", float("inf"), 0),
    ]
    store.write(1, [block(rows, units="")])
    with mirror(tmp_path, Influx(url=victoria.url)) as following:
        assert following.step() == 3
    found = {
        dict(key)["__name__"] + "/" + dict(key)["channel"]: rows
        for key, rows in victoria.everything().items()
    }
    at_ms = START // 1_000_000
    assert found == {
        "andon_value/a": [(at_ms + 1000, 1e-7)],
        "andon_quality/a": [(at_ms, bad), (at_ms + 1000, 0)],
        "andon_quality/b": [(at_ms, 0)],
    }


@contextlib.contextmanager
def mirror(data: Path, settings: Influx) -> Iterator[Mirror]:
    post, close = make_post(settings)
    made = Mirror(
        data / "series.sqlite",
        post,
        measurement=settings.measurement,
        lines=settings.lines,
        spool_values=10_000,
    )
    with contextlib.closing(made):
        yield made
    close()


def test_lines_that_the_server_refuses_are_counted_and_do_not_stop_the_others(
    store: SeriesStore, tmp_path: Path
) -> None:
    for batch in (1, 2, 3):
        write(store, batch)
    refused: list[int] = []

    def once(lines: bytes) -> None:
        if not refused:
            refused.append(1)
            raise Rejected("400: partial write")

    following = Mirror(tmp_path / "series.sqlite", once, measurement="andon", lines=50, spool_values=10_000)
    assert [following.step() for _ in range(4)] == [0, 50, 50, 0]
    assert (following.look().rejected, following.counts.sent) == (50, 100)
    following.close()


def test_a_request_that_is_too_large_is_halved(store: SeriesStore, tmp_path: Path) -> None:
    write(store, 1)
    got: list[str] = []

    def small(lines: bytes) -> None:
        if lines.count(b"\n") >= 10:
            raise Rejected("413", too_large=True)
        got.extend(lines.decode().splitlines())

    following = Mirror(tmp_path / "series.sqlite", small, measurement="andon", lines=50, spool_values=10_000)
    assert following.step() == 50
    assert len(set(got)) == 50
    following.close()


def test_what_the_server_never_gets_is_counted_and_the_newest_stay(
    store: SeriesStore, tmp_path: Path
) -> None:
    def away(_lines: bytes) -> None:
        raise Away("not there")

    path = tmp_path / "series.sqlite"
    following = Mirror(path, away, measurement="andon", lines=50, spool_values=220)
    for batch in range(1, 11):
        write(store, batch)
    assert seal(Order(str(path), START, mirrored=True))["dropped"] == 300
    with pytest.raises(Away):
        following.step()
    assert (following.look().dropped, following.counts.waiting) == (300, 200)
    assert (
        len(store.read("L1, press=2", "DE/level 0", 0, 2**62)[0]) == 170
    )  # the series themselves lose nothing
    following.close()
    got: list[bytes] = []
    again = Mirror(path, got.append, measurement="andon", lines=1000, spool_values=220)
    assert again.step() == 200
    again.close()
    assert seal(Order(str(path), START, mirrored=True))["dropped"] == 0


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (400, Rejected, "partial write"),
        (413, Rejected, "partial write"),
        (401, Away, "partial write"),
        (404, Away, "partial write"),
        (429, Away, "partial write"),
        (503, Away, "partial write"),
    ],
)
def test_what_is_wrong_with_the_lines_is_not_tried_again_and_all_else_is(
    status: int, kind: type[Exception], said: str
) -> None:
    heard = _listener(status)
    post, close = make_post(Influx(url=heard.url))
    with pytest.raises(kind, match=said) as raised:
        post(b"andon value=1")
    close()
    assert getattr(raised.value, "too_large", False) is (status == 413)
    assert getattr(raised.value, "wait_s", 7) == 7


def test_a_server_that_is_not_there_is_away(store: SeriesStore) -> None:
    post, close = make_post(Influx(url="http://127.0.0.1:1"))
    with pytest.raises(Away):
        post(b"andon value=1")
    close()


def test_the_token_is_sent_and_a_missing_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ANDON_TEST_TOKEN"):
        make_post(Influx(url="http://127.0.0.1:1", token_env="ANDON_TEST_TOKEN"))
    with pytest.raises(ConfigError, match="nowhere"):
        make_post(Influx(url="http://127.0.0.1:1", token_file=tmp_path / "nowhere"))
    (tmp_path / "token").write_text("secret\n")
    heard = _listener()
    post, close = make_post(Influx(url=heard.url, org="plant", bucket="line", token_file=tmp_path / "token"))
    post(b"andon value=1 5")
    close()
    assert heard.path == "/api/v2/write?org=plant&bucket=line&precision=ns"
    assert heard.headers["Authorization"] == "Token secret"
    assert heard.headers["Content-Encoding"] == "gzip"


class _Heard:
    url: str
    path: str
    headers: dict[str, str]


def _listener(status: int = 204) -> _Heard:
    """An HTTP server that keeps the one request it gets."""
    heard = _Heard()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.path, heard.headers = self.path, dict(self.headers)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            if status != 204:
                self.send_header("Retry-After", "7")
            self.end_headers()
            if status != 204:
                self.wfile.write(b'{"code": "x", "message": "partial write"}')

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    heard.url = f"http://127.0.0.1:{server.server_port}"

    def once() -> None:
        server.handle_request()
        server.server_close()

    threading.Thread(target=once, daemon=True).start()
    return heard


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("http://192.0.2.4:8086", False),
        ("https://192.0.2.4:8086", True),
        ("http://localhost:8086", True),
        ("http://[::1]:8086", True),
        ("http://localhost.example:8086", False),
        ("ftp://127.0.0.1", False),
    ],
)
def test_nothing_leaves_this_machine_in_the_clear(url: str, taken: bool) -> None:
    if taken:
        assert check(Influx, {"url": url}, "influx").url == url
        return
    with pytest.raises(ConfigError):
        check(Influx, {"url": url}, "influx")
