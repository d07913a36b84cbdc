"""An OPC UA server that changes its variables when told to: `python -m andon.benches.opcua_server` and a job as JSON."""

import asyncio
import json
import sys

from andon.benches.opcua import node_of
from andon.clock import wall
from simulators.machines import MACHINES
from simulators.messages import OpcuaValue
from simulators.opcua import PlantServer

_RATE_HZ = 4000.0


async def main(nodes: int, count: int) -> None:
    """Serve; at each line on standard input change the variables in turn, `count` times in all."""
    names = [node_of(number).partition(";s=")[2] for number in range(nodes)]
    machine = next(machine.id for machine in MACHINES if machine.channel == "opcua")
    variables = [(name, machine, f"{name}/current", "A") for name in names]
    loop = asyncio.get_running_loop()
    number = 0
    async with PlantServer(variables, 0) as server:
        print(server.url, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            began_s, first = loop.time(), number
            while number - first < count:
                now_ns = wall()
                await server.write(OpcuaValue(now_ns, names[number % nodes], float(number), now_ns))
                number += 1
                ahead_s = (number - first) / _RATE_HZ - (loop.time() - began_s)
                await asyncio.sleep(max(0.0, ahead_s) if number % 50 == 0 else 0)
            print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
