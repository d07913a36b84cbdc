"""Hostile files in place of photos: refused with a reason, or kept as a plain picture; the decoder can reach nothing."""

import json
import subprocess
import sys
import threading
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import psutil
import pytest
from PIL import Image

from tests.hostile_photos import CANARY, CLEAN, COSTLY, Hostile, camera, corpus, image, two_in_one
from ticketing import photo_process, photos
from ticketing.errors import PhotoRefused
from ticketing.photos import AT_ONCE, WAITING, is_plain, picture_of

CORPUS = corpus()


def outcome(body: bytes) -> tuple[str, bytes]:
    """The code of the refusal, or that it was kept and as what."""
    try:
        return CLEAN, picture_of(body).body
    except PhotoRefused as refused:
        return refused.code, b""


@pytest.fixture
def decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put another program in place of the decoder."""

    def put(text: str) -> None:
        path = tmp_path / "decoder.py"
        path.write_text(text)
        monkeypatch.setattr(photos, "_PROCESS", path)

    return put


@pytest.mark.parametrize("case", CORPUS, ids=[name for name, _, _ in CORPUS])
def test_what_is_hostile_is_refused_or_becomes_a_plain_picture(case: Hostile) -> None:
    _, body, expected = case
    code, kept = outcome(body)
    assert code in expected
    if code == CLEAN:
        assert is_plain(kept)
        assert CANARY not in kept
        with Image.open(BytesIO(kept)) as anew:
            assert (anew.format, anew.mode) == ("JPEG", "RGB")
            assert not anew.getexif()
            assert set(anew.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
            anew.load()


def test_bombs_burst_elsewhere_and_leave_this_process_as_it_was() -> None:
    outcome(image("JPEG"))
    before = psutil.Process().memory_info().rss
    for name, body, _ in CORPUS:
        if "256" in name or "65,535" in name or "times" in name:
            outcome(body)
    assert psutil.Process().memory_info().rss - before < 32 * 1024**2


@pytest.mark.parametrize("case", list(two_in_one()), ids=[name for name, _, _ in two_in_one()])
def test_a_decoder_that_gives_back_what_it_was_given_is_not_believed(case: Hostile, decoder) -> None:
    decoder(
        "import sys\n"
        'sys.stdout.buffer.write(b\'{"width": 8, "height": 8, "blank": false, "missing": []}\\n\')\n'
        "sys.stdout.buffer.write(sys.stdin.buffer.read())\n"
    )
    assert outcome(case[1])[0] == "photo_not_an_image"


def test_the_largest_photo_of_the_costliest_kind_fits_the_limits() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    written = BytesIO()
    Image.new("RGBA", (8000, 5000), (200, 30, 30, 128)).save(written, "PNG", exif=turned, compress_level=1)
    picture = picture_of(written.getvalue())
    assert (picture.width, picture.height) == (5000, 8000)


def test_what_was_transparent_is_white() -> None:
    written = BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(written, "PNG")
    with Image.open(BytesIO(picture_of(written.getvalue()).body)) as anew:
        assert anew.getpixel((4, 4)) == (255, 255, 255)


TRIES = {
    "a file": "open('/etc/hostname')",
    "a file to write": "open('/tmp/x', 'w')",
    "a socket": "__import__('socket').socket()",
    "a program": "__import__('os').posix_spawn('/bin/true', ['true'], {}) or None",
    "1 GB": "bytearray(2**30)",
}


@pytest.mark.parametrize("what", TRIES)
def test_the_decoder_can_reach_nothing(what: str) -> None:
    folder = str(Path(photo_process.__file__).parent)
    program = (
        f"import sys; sys.path.insert(0, {folder!r}); import photo_process, socket, os, json\n"
        "missing = photo_process.give_up()\n"
        f"try:\n {TRIES[what]}\nexcept (OSError, MemoryError) as error:\n sys.stdout.write(type(error).__name__)\n"
        "else:\n sys.stdout.write('reached ' + json.dumps([missing, os.getuid()]))\n"
    )
    said = subprocess.run(
        [sys.executable, "-I", "-c", program], env={}, capture_output=True, text=True, check=False
    ).stdout
    if what == "a program" and said.startswith("reached"):
        assert json.loads(said.removeprefix("reached "))[1] == 0, "only root is not held by RLIMIT_NPROC"
    elif what == "1 GB" and sys.platform == "darwin":
        assert said, "macOS does not hold RLIMIT_AS"
    else:
        assert said in {"OSError", "MemoryError", "BlockingIOError", "PermissionError"}, said


def test_the_decoder_knows_no_secret_and_imports_nothing_of_ours(
    decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDON_SECRET", CANARY.decode())
    decoder(
        "import json, os, sys\n"
        "ours = [name for name in sys.modules if name.split('.')[0] in ('andon', 'ticketing', 'api')]\n"
        "code = 'photo_animated' if CANARY in str(dict(os.environ)) or ours or os.getcwd() != '/' else 'photo_too_costly'\n".replace(
            "CANARY", repr(CANARY.decode())
        )
        + "print(json.dumps({'refused': code, 'why': '', 'missing': []}))\n"
    )
    assert outcome(image("JPEG"))[0] == COSTLY


@pytest.mark.parametrize(
    "program", ["while True: pass", "import os; os.abort()", "print('{', flush=True)\nwhile True: pass", ""]
)
def test_a_decoder_that_comes_to_no_end_is_ended(
    program: str, decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "WALL_S", 1.0)
    decoder(program)
    assert outcome(image("JPEG"))[0] == COSTLY
    assert not [one for one in psutil.Process().children() if "decoder.py" in " ".join(one.cmdline())]


def test_a_decoder_that_floods_is_cut_off(decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "_ANSWER_BYTES", 1024 * 1024)
    decoder(
        "import sys\nfor _ in iter(int, 1): sys.stdout.buffer.write(b'{}\\n' + bytes(65536))".replace(
            "{}", '{"width": 1, "height": 1, "blank": true}'
        )
    )
    assert outcome(image("JPEG"))[0] == "photo_not_an_image"


def test_who_comes_while_many_wait_is_asked_to_come_again(tmp_path: Path, decoder) -> None:
    go = tmp_path / "go"
    decoder(
        f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
        'print(\'{"refused": "photo_animated", "why": ""}\')\n'
    )
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(outcome(image("JPEG"))[0]))
        for _ in range(AT_ONCE + WAITING + 1)
    ]
    for thread in threads:
        thread.start()
    while not found:  # one of them found no place; the others are waiting
        threads[0].join(0.01)
    assert found == ["photo_busy"]
    go.touch()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["photo_animated"] * (AT_ONCE + WAITING) + ["photo_busy"]


def test_the_name_is_that_of_the_bytes_and_not_the_senders() -> None:
    picture = picture_of(camera())
    assert picture.sha256 == sha256(picture.body).hexdigest()
