"""asyncua as its documentation shows it: a handler that counts. `python -m andon.benches.opcua_handler` and a job as JSON.

Answers each line on standard input with how many values it has taken.
"""

import asyncio
import json
import logging
import sys
from typing import Any

from asyncua.client.client import Client

from andon.benches.opcua import PUBLISHING_MS, node_of
from simulators.messages import NAMESPACE


class Counting:
    """Counts data changes."""

    taken = 0

    def datachange_notification(self, _node: Any, _value: Any, _data: Any) -> None:
        """Count one."""
        self.taken += 1


async def main(url: str, nodes: int) -> None:
    """Subscribe, then answer until standard input closes."""
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    handler = Counting()
    async with Client(url) as client:
        index = await client.get_namespace_index(NAMESPACE)
        names = [node_of(number).partition(";s=")[2] for number in range(nodes)]
        found = [client.get_node(f"ns={index};s={name}") for name in names]
        subscription = await client.create_subscription(PUBLISHING_MS, handler)
        await subscription.subscribe_data_change(found, queuesize=40)
        while await asyncio.to_thread(sys.stdin.readline):
            print(handler.taken, flush=True)


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
