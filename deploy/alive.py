"""Whether the installation at a data directory answers: asks /healthz where run/status.json says that the console is.

`python alive.py /var/lib/andon` ends with 0 if it does; for containers, which know no address of their own. Standard
library only. The certificate is not looked at: the question stays on this machine and its answer is no secret.
"""

import json
import re
import ssl
import sys
import urllib.request
from pathlib import Path

WAIT_S = 5.0


def alive(data: Path) -> bool:
    """Whether /healthz says ok; what stands in the way of asking is raised."""
    status = json.loads((data / "run" / "status.json").read_text("utf-8"))
    scheme, port = re.fullmatch(r"(https?)://.*:(\d+)/?", status["parts"]["web"]["ready"]).groups()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(  # noqa: S310 - http or https, as was matched
        f"{scheme}://127.0.0.1:{port}/healthz", timeout=WAIT_S, context=context
    ) as answer:
        return answer.read().strip() == b"ok"


if __name__ == "__main__":
    try:
        sys.exit(0 if alive(Path(sys.argv[1])) else 1)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not well
        sys.exit(f"not alive: {type(error).__name__}: {error}")
