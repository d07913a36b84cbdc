"""What an installation is made of, as a CycloneDX 1.6 document: the locked packages with versions, hashes and licences.

`make sbom` writes dist/andon.cdx.json. Everything comes from requirements.lock, package-lock.json and what the packages
installed here say of their licence; the same locks give the same bytes. Hashes are those of all files that the lock
allows, one for each platform.
"""

import base64
import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_PINNED = re.compile(
    r"^([A-Za-z0-9._-]+)==(\S+)(?: ; ([^\\\n]+?))?\s*\\?\n((?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE
)


def document(root: Path) -> dict[str, Any]:
    """The whole document."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    name, version = project["name"], project["version"]
    components = [*_python(root / "requirements.lock"), *_browser(root / "package-lock.json")]
    own = {"type": "application", "name": name, "version": version, "bom-ref": f"pkg:pypi/{name}@{version}"}
    own |= {"purl": own["bom-ref"], "licenses": [{"license": {"id": project["license"]}}]}
    named = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([own, components], sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{named}",
        "version": 1,
        "metadata": {"component": own},
        "components": components,
        "dependencies": [{"ref": own["bom-ref"], "dependsOn": [one["bom-ref"] for one in components]}],
    }


def _python(lock: Path) -> Iterator[dict[str, Any]]:
    for name, version, marker, hashes in _PINNED.findall(lock.read_text("utf-8")):
        purl = f"pkg:pypi/{name.lower()}@{version}"
        allowed = sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", hashes))
        component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        component["hashes"] = [{"alg": "SHA-256", "content": one} for one in allowed]
        if licence := _licence(name):
            component["licenses"] = [licence]
        if marker:
            component["properties"] = [{"name": "andon:only-where", "value": marker}]
        yield component


def _browser(lock: Path) -> Iterator[dict[str, Any]]:
    for path, entry in sorted(json.loads(lock.read_text("utf-8"))["packages"].items()):
        if not path:
            continue
        name = path.rpartition("node_modules/")[2]
        purl = f"pkg:npm/{name.replace('@', '%40')}@{entry['version']}"
        algorithm, _, digest = entry["integrity"].partition("-")
        component = {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": entry["version"],
            "purl": purl,
        }
        component["hashes"] = [
            {"alg": f"SHA-{algorithm.removeprefix('sha')}", "content": base64.b64decode(digest).hex()}
        ]
        if entry.get("license"):
            component["licenses"] = [{"license": {"id": entry["license"]}}]
        yield component


def _licence(name: str) -> dict[str, Any] | None:
    """What the package installed here says: its SPDX expression, else its own words."""
    try:
        said = metadata(name)
    except PackageNotFoundError:  # another platform's
        return None
    if expression := said.get("License-Expression"):
        return {"expression": expression}
    classified = [
        line.rpartition(" :: ")[2] for line in said.get_all("Classifier", ()) if line.startswith("License")
    ]
    words = classified[0] if classified else str(said.get("License", "")).partition("\n")[0]
    return {"license": {"name": words}} if words else None


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    found = document(ROOT)
    target.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{target}: {len(found['components'])} components\n")
