"""The files of deploy/ are what their own readers take, and agree with each other: units, image, Compose, secrets, SBOM."""

import contextlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from andon.config import Secret, load_config
from andon.sources import check_sources

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = ("andon.service", "andon-backup.service", "andon-backup.timer")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_the_units_valid_and_hardened(tmp_path: Path) -> None:
    for name in UNITS:
        unit = (DEPLOY / name).read_text("utf-8")
        (tmp_path / name).write_text(
            unit.replace("/opt/andon/bin/andon", shutil.which("true") or "/bin/true"), "utf-8"
        )
    here = [tmp_path / name for name in UNITS]
    verdict = subprocess.run(
        ["systemd-analyze", "verify", *here], capture_output=True, text=True, check=False
    )
    assert (verdict.returncode, verdict.stderr) == (0, "")
    for unit_file in here[:2]:
        words = ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit_file]
        exposure = subprocess.run(words, capture_output=True, text=True, check=False)
        assert exposure.returncode == 0, exposure.stdout[-200:]


def test_a_credential_of_systemd_is_a_secret_whatever_its_mode_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "broker.password"
    file.write_text("right\n")
    file.chmod(0o440)  # what its access list shows as
    with pytest.raises(Exception, match="chmod 600"):
        Secret(file=file).read()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Secret(file=file).read() == "right"


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_bounded_and_has_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"user", "mem_limit", "cpus", "pids_limit", "restart", "logging", "networks"} <= service.keys()
    assert re.fullmatch(r"\S+:v?\d+\.\d+\.\d+|andon:\$\{ANDON_VERSION:-\d+\.\d+\.\d+\}", service["image"])
    assert "healthcheck" in service or name == "andon"  # that one's stands in its image
    for port in service.get("ports", ()):
        assert port.startswith("${ANDON_BIND:-127.0.0.1}:")
    secret_words = re.compile(r"(?i)password|token|secret_key")
    for variable, value in service.get("environment", {}).items():
        assert not secret_words.search(variable) or value.startswith("/run/secrets/"), variable


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("made") / "secrets"
    words = [DEPLOY / "make-secrets.sh", "andon.example.plant", "192.0.2.7"]
    subprocess.run(words, env={**os.environ, "ANDON_SECRETS": str(folder)}, check=True, capture_output=True)
    return folder


def test_every_file_that_a_container_mounts_or_names_is_there(secrets: Path) -> None:
    made_later = {"/run/secrets/andon.key": "victoria", "/run/tokens/andon": "", "/run/tokens/grafana": ""}
    texts = {
        "andon": (DEPLOY / "compose" / "andon.toml").read_text("utf-8"),
        "victoria": (DEPLOY / "compose" / "victoria.yaml").read_text("utf-8"),
        "mosquitto": (secrets / "mosquitto" / "mosquitto.conf").read_text("utf-8"),
        "grafana": (DEPLOY / "grafana/provisioning/datasources/andon.yaml").read_text("utf-8"),
    }
    for name, service in SERVICES.items():
        said = json.dumps(service) + re.sub(r"^\s*#.*$", "", texts.get(name, ""), flags=re.MULTILINE)
        for path in set(re.findall(r"/run/(?:secrets|tokens)/[\w.-]+", said)):
            found = (secrets / name / Path(path).name).is_file()
            assert found or made_later.get(path) in {name, ""}, (name, path)
        for mount in service["volumes"]:
            source = mount.partition(":")[0]
            if source.startswith("./secrets/"):
                assert (secrets / source.removeprefix("./secrets/")).is_dir()
            elif source.startswith("."):
                assert (DEPLOY / source).exists(), source
            else:
                assert source in COMPOSE["volumes"]


def test_secrets_are_random_private_and_stay(secrets: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in secrets.rglob("*") if path.is_file()}
    again = {**os.environ, "ANDON_SECRETS": str(secrets)}
    subprocess.run([DEPLOY / "make-secrets.sh"], env=again, check=True, capture_output=True)
    assert {path: path.read_bytes() for path in secrets.rglob("*") if path.is_file()} == before
    other = {**os.environ, "ANDON_SECRETS": str(tmp_path / "other")}
    subprocess.run([DEPLOY / "make-secrets.sh"], env=other, check=True, capture_output=True)
    random = [path.relative_to(secrets) for path in before if path.suffix in {".key", ".password", ".token"}]
    assert len(random) == 11
    assert all((tmp_path / "other" / path).read_bytes() != before[secrets / path] for path in random)
    assert all(len(before[secrets / path].split()[0]) == 64 for path in random if path.suffix != ".key")
    assert [path for path in secrets.rglob("*") if path.is_file() and path.stat().st_mode & 0o377] == []
    authority = secrets / "ca" / "ca.crt"
    words = ["openssl", "verify", "-x509_strict", "-CAfile", authority, *secrets.glob("*/*.crt")]
    subprocess.run(words, check=True, capture_output=True)


def test_hostile_names_of_machines_are_refused(secrets: Path) -> None:
    for name in ("+", "#", "a/b", "../x", "$SYS", "andon", "probe", "", "x" * 65, "-x", "a b"):
        done = subprocess.run(
            [DEPLOY / "make-secrets.sh", "--device", name],
            env={**os.environ, "ANDON_SECRETS": str(secrets)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr[:14]) == (1, "make-secrets: "), name


def test_the_configuration_that_compose_runs_is_one(secrets: Path, tmp_path: Path) -> None:
    text = (DEPLOY / "compose" / "andon.toml").read_text("utf-8").replace("/run/secrets", f"{secrets}/andon")
    (tmp_path / "andon.toml").write_text(text)
    config = load_config(tmp_path / "andon.toml")
    check_sources(config.sources, tmp_path / "andon.toml")
    scraped = yaml.safe_load((DEPLOY / "compose" / "victoria.yaml").read_text("utf-8"))["scrape_configs"][0]
    assert scraped["static_configs"][0]["targets"] == [f"{config.web.names[0]}:{config.web.port}"]
    inside = {port.rpartition(":")[2] for port in SERVICES["andon"]["ports"]}
    assert inside == {str(config.web.port), str(config.sources["floor"].parameters["port"])}


def test_the_image_is_built_from_what_its_context_holds_by_hash_and_without_root() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text("utf-8")
    wanted = {
        line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")
    }
    assert all((ROOT / name).exists() for name in wanted)
    packages = re.search(r"packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text("utf-8"))
    assert packages is not None
    assert set(re.findall(r'"(\w+)"', packages[1])) <= wanted
    installs = re.findall(r"pip install (.*?)(?: \\|$)", dockerfile, re.MULTILINE)
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == ["10001:10001"]
    assert SERVICES["andon"]["user"] == "10001:10001"
    assert "HEALTHCHECK" in dockerfile


@contextlib.contextmanager
def _answering(text: bytes) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text if self.path == "/healthz" else b"no")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_alive_asks_where_the_status_says_and_tells_the_truth(tmp_path: Path) -> None:
    def ends() -> int:
        words = [sys.executable, "-W", "error", DEPLOY / "alive.py", tmp_path]
        return subprocess.run(words, capture_output=True, check=False).returncode

    assert ends() == 1
    (tmp_path / "run").mkdir()
    for text, ended in ((b"ok\n", 0), (b"oh\n", 1)):
        with _answering(text) as port:
            status = {"parts": {"web": {"ready": f"http://0.0.0.0:{port}"}}}
            (tmp_path / "run" / "status.json").write_text(json.dumps(status))
            assert ends() == ended
    assert ends() == 1  # nobody answers there any more


def test_the_bill_of_materials_has_every_locked_package_with_a_hash_and_a_licence(tmp_path: Path) -> None:
    for name in ("a", "b"):
        words = [sys.executable, DEPLOY / "sbom.py", tmp_path / name]
        subprocess.run(words, check=True, capture_output=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    bill = json.loads((tmp_path / "a").read_text("utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    pinned = {
        f"pkg:pypi/{name.lower()}@{version}"
        for name, version in re.findall(r"^(\S+?)==(\S+)", lock, re.MULTILINE)
    }
    npm = {
        path.rpartition("node_modules/")[2]
        for path in json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
        if path
    }
    components = bill["components"]
    assert {one["purl"] for one in components if one["purl"].startswith("pkg:pypi")} == pinned
    assert {one["name"] for one in components if one["purl"].startswith("pkg:npm")} == npm
    assert all(
        one["hashes"] and len({item["content"] for item in one["hashes"]}) == len(one["hashes"])
        for one in components
    )
    assert sum("licenses" in one for one in components) >= len(components) - 4  # what is for other platforms
