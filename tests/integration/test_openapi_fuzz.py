"""Every operation keeps to its own description, whatever is sent that it allows or forbids: schemathesis, all checks.

The same requests each time; `make fuzz` sends many more.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.config import GenerationConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.shop_floor import TOKEN, ShopFloor, console

EXAMPLES = int(os.environ.get("FUZZ", "1"))
"""Random requests of each kind to each operation; more than a few, and every systematic one is sent, too."""
ONE_IN = 8 if EXAMPLES < 10 else 1
"""The systematic requests (each value at its limits, each parameter left out, each method) of one operation in so many
are sent, and of those one in so many: to think them out is what takes long."""
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
DESCRIBED = {"invalid_request", "unknown_parameter"}
"""What a request as described is never refused with. That evidence is missing, or a version, is another matter."""
MORE_THAN_DESCRIBED = {"put_person_presence", "put_plan", "put_operation_template", "put_meter"}
"""A position is metres or degrees, both of either; a plan has a rhythm, a usage or both, limits have an order."""
SLOW = {"dry_run_dedup"}


@schemathesis.serializer("application/toml")
def toml(_context: object, value: object) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else str(value).encode()


@contextmanager
def served(floor: ShopFloor) -> Iterator[str]:
    """The address of a server of that shop floor's console."""
    server = uvicorn.Server(uvicorn.Config(console(floor.context), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def address(floor: ShopFloor) -> Iterator[str]:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"), floor.finding("L1-SPN-01", "stop"))
    floor.counts(received=3, stored=2)
    floor.refuses(b"{no json")
    floor.misses("L1-SPN-01")
    with served(floor) as address:
        yield address


class Asker:
    """Sends cases, and keeps what was wrong with the answers."""

    def __init__(self, address: str, session: requests.Session) -> None:
        self._address = address
        self._session = session
        self.wrong: list[str] = []
        self.asked = 0

    def ask(self, case: Any, *, as_described: bool = False) -> None:
        self.asked += 1
        try:
            answer = case.call_and_validate(
                base_url=self._address,
                session=self._session,
                headers=HEADERS,
                excluded_checks=[positive_data_acceptance],
            )
        except FailureGroup as failed:
            self.wrong.append(f"{case.operation.label}: {failed}")
            return
        name = case.operation.definition.raw["operationId"]
        if as_described and answer.status_code == 422 and name not in MORE_THAN_DESCRIBED:
            said = answer.json()
            if said["code"] in DESCRIBED:
                self.wrong.append(f"{case.operation.label}: refused although as described: {said}")


@pytest.mark.timeout(900)  # it takes 15 s where nobody else works
def test_every_operation_is_as_it_is_described(floor: ShopFloor, address: str) -> None:
    with requests.Session() as session:
        asker = Asker(address, session)
        document = session.get(f"{address}/api/v1/openapi.json", headers=HEADERS).json()
        schema = schemathesis.openapi.from_dict(document)
        operations = [found.ok() for found in schema.get_all_operations()]
        for place, operation in enumerate(operations):
            if operation.definition.raw["operationId"] in SLOW and EXAMPLES < 10:
                continue
            for mode in GenerationMode:
                at_random(operation, mode, asker)
            if place % ONE_IN:
                continue
            systematic = schema.iter_coverage_cases(
                operation, generation_modes=[*GenerationMode], generation_config=GenerationConfig()
            )
            for number, case in enumerate(systematic):
                if number % ONE_IN == 0:
                    asker.ask(case)
    assert not asker.wrong, "\n\n".join(asker.wrong)
    assert asker.asked > 2 * len(operations) > 200


def at_random(operation: Any, mode: GenerationMode, asker: Asker) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        asker.ask(case, as_described=mode is GenerationMode.POSITIVE)

    ask()
