"""Looks around an OPC UA server: its variables with what they say of themselves, notifiers and types of events.

Bounded in depth, nodes and time for each call; the standard's own nodes are passed over.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIdNames, ObjectIds
from asyncua.ua.uaerrors import UaError

from ingest.opcua_calls import Calls
from ingest.opcua_words import Value, address_of, text_of, value_of

BROWSE_AT_ONCE = 50
_EVENT_NOTIFIER_SUBSCRIBES = 1
_ROOT = ua.NodeId(ua.Int32(ObjectIds.ObjectsFolder))
_EVENTS = ua.NodeId(ua.Int32(ObjectIds.BaseEventType))
_SERVER = ua.NodeId(ua.Int32(ObjectIds.Server))
_PROPERTY = ua.NodeId(ua.Int32(ObjectIds.PropertyType))
_DOWN = ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences))
_SUBTYPE = ua.NodeId(ua.Int32(ObjectIds.HasSubtype))
_CONDITION = "i=2782"
_NUMBERS = frozenset(
    f"i={number}"
    for number in (*range(ObjectIds.Boolean, ObjectIds.Double + 1), 26, 27, 28, 29, ObjectIds.Duration)
)
_TEXTS = frozenset({f"i={ObjectIds.String}", f"i={ObjectIds.LocalizedText}"})
_BYTES = f"i={ObjectIds.ByteString}"


@dataclass(slots=True)
class Variable:
    """A variable: `path` are the names above it and its own. Empty or None is what the server does not say."""

    path: tuple[str, ...]
    node: str
    data_type: str = ""
    type_name: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    historizing: bool = False
    sampling_ms: float | None = None
    value: Value | None = None
    received_ns: int = 0

    @property
    def kind(self) -> str:
        """number, text, bytes or other."""
        if self.data_type in _NUMBERS:
            return "number"
        if self.data_type in _TEXTS:
            return "text"
        if self.data_type == _BYTES:
            return "bytes"
        return "number" if self.value is not None and isinstance(self.value.value, int | float) else "other"


@dataclass(slots=True)
class EventType:
    """A type of event that the server adds to the standard's; `is_condition` if it is an alarm or condition."""

    name: str
    node: str
    is_condition: bool


@dataclass(slots=True)
class Around:
    """What was found; `cut_off` says why there may be more."""

    variables: list[Variable] = field(default_factory=list)
    notifiers: list[tuple[str, str]] = field(default_factory=list)
    event_types: list[EventType] = field(default_factory=list)
    nodes: int = 0
    cut_off: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far to look."""

    depth: int = 10
    nodes: int = 20_000
    timeout_s: float = 5.0


class Look:
    """One look around over an open session. `turn` is told the number of nodes seen."""

    def __init__(self, client: Client, bounds: Bounds, turn: Callable[[int], None]) -> None:
        self._session = client.uaclient.session
        self._calls = Calls(client, bounds.timeout_s, BROWSE_AT_ONCE)
        self._bounds = bounds
        self._turn = turn
        self._around = Around()
        self._namespaces: Sequence[str] = ()
        self._ids: list[ua.NodeId] = []
        self._properties: dict[str, tuple[Variable, str]] = {}
        self._property_ids: list[ua.NodeId] = []

    async def around(self, now_ns: Callable[[], int]) -> Around:
        """Everything below Objects that is not the standard's own, with types of events. TimeoutError, UaError, OSError."""
        await self._calls.learn_limits()
        self._namespaces = await self._calls.namespaces()
        await self._walk()
        await self._read(now_ns)
        await self._read_properties()
        self._around.event_types = await self._event_types()
        return self._around

    async def _walk(self) -> None:
        seen = {_ROOT, _SERVER}
        level: list[tuple[tuple[str, ...], ua.NodeId, Variable | None]] = [((), _ROOT, None)]
        for _ in range(self._bounds.depth):
            below: list[tuple[tuple[str, ...], ua.NodeId, Variable | None]] = []
            for (path, _node, parent), found in zip(
                level, await self._browse([n for _, n, _ in level]), strict=True
            ):
                for reference in found:
                    node = reference.NodeId
                    if node in seen or len(seen) > self._bounds.nodes:
                        continue
                    is_property = reference.TypeDefinition == _PROPERTY
                    if not int(node.NamespaceIndex) and not is_property:
                        continue
                    seen.add(node)
                    name = str(reference.BrowseName.Name)
                    if is_property:
                        self._note_property(parent, name, node)
                        continue
                    variable = self._note(reference, (*path, name))
                    below.append(((*path, name), node, variable))
            self._around.nodes = len(seen)
            self._turn(len(seen))
            if len(seen) > self._bounds.nodes:
                self._around.cut_off = f"more than {self._bounds.nodes:,} nodes"
                return
            if not below:
                return
            level = below
        self._around.cut_off = f"deeper than {self._bounds.depth} levels"

    def _note(self, reference: ua.ReferenceDescription, path: tuple[str, ...]) -> Variable | None:
        if reference.NodeClass == ua.NodeClass.Variable:
            variable = Variable(path, address_of(reference.NodeId, self._namespaces))
            self._around.variables.append(variable)
            self._ids.append(reference.NodeId)
            return variable
        if reference.NodeClass == ua.NodeClass.Object:
            address = address_of(reference.NodeId, self._namespaces)
            self._around.notifiers.append(("/".join(path), address))
            self._property_ids.append(reference.NodeId)
        return None

    def _note_property(self, parent: Variable | None, name: str, node: ua.NodeId) -> None:
        if parent is not None and name in {"EURange", "EngineeringUnits"}:
            self._properties[node.to_string()] = (parent, name)

    async def _browse(
        self, nodes: Sequence[ua.NodeId], reference: ua.NodeId = _DOWN
    ) -> list[list[ua.ReferenceDescription]]:
        found: list[list[ua.ReferenceDescription]] = []
        for start in range(0, len(nodes), BROWSE_AT_ONCE):
            wanted = [
                ua.BrowseDescription(
                    NodeId=node,
                    BrowseDirection=ua.BrowseDirection.Forward,
                    ReferenceTypeId=reference,
                    IncludeSubtypes=True,
                    ResultMask=ua.UInt32(ua.BrowseResultMask.All),
                )
                for node in nodes[start : start + BROWSE_AT_ONCE]
            ]
            async with asyncio.timeout(self._bounds.timeout_s):
                results = await self._session.browse(ua.BrowseParameters(NodesToBrowse=wanted))
            found += [await self._rest_of(result) for result in results]
        return found

    async def _rest_of(self, result: ua.BrowseResult) -> list[ua.ReferenceDescription]:
        references = list(result.References or ())
        while result.ContinuationPoint and len(references) < self._bounds.nodes:
            params = ua.BrowseNextParameters(False, [result.ContinuationPoint])
            async with asyncio.timeout(self._bounds.timeout_s):
                (result,) = await self._session.browse_next(params)
            references += result.References or ()
        return references

    async def _read(self, now_ns: Callable[[], int]) -> None:
        ids = self._ids
        types = await self._calls.read(ids, AttributeIds.DataType)
        histories = await self._calls.read(ids, AttributeIds.Historizing)
        samplings = await self._calls.read(ids, AttributeIds.MinimumSamplingInterval)
        values = await self._calls.read(ids)
        at_ns = now_ns()
        for variable, data_type, history, sampling, value in zip(
            self._around.variables, types, histories, samplings, values, strict=True
        ):
            told = _told(data_type)
            if isinstance(told, ua.NodeId):
                variable.data_type = address_of(told, self._namespaces)
                number = told.Identifier if not told.NamespaceIndex else None
                variable.type_name = str(ObjectIdNames.get(number, "")) if isinstance(number, int) else ""
            variable.historizing = _told(history) is True
            least_ms = _told(sampling)
            if isinstance(least_ms, int | float) and least_ms > 0:
                variable.sampling_ms = float(least_ms)
            variable.value, variable.received_ns = value_of(value), at_ns

    async def _read_properties(self) -> None:
        """Units and ranges; and which of the objects send events, kept of those that were seen."""
        ids = [ua.NodeId.from_string(text) for text in self._properties]
        for (variable, _), told in zip(self._properties.values(), await self._calls.read(ids), strict=True):
            value = _told(told)
            if isinstance(value, ua.EUInformation):
                variable.unit = text_of(value.DisplayName)
            elif isinstance(value, ua.Range):
                variable.low, variable.high = float(value.Low), float(value.High)
        flags = await self._calls.read([_SERVER, *self._property_ids], AttributeIds.EventNotifier)
        named = [("Server", "i=2253"), *self._around.notifiers]
        self._around.notifiers = [
            one
            for one, flag in zip(named, map(_told, flags), strict=True)
            if isinstance(flag, int) and flag & _EVENT_NOTIFIER_SUBSCRIBES
        ]

    async def _event_types(self) -> list[EventType]:
        found: list[EventType] = []
        level: list[tuple[ua.NodeId, bool]] = [(_EVENTS, False)]
        for _ in range(self._bounds.depth):
            below: list[tuple[ua.NodeId, bool]] = []
            try:
                browsed = await self._browse([node for node, _ in level], _SUBTYPE)
            except UaError:  # a server without its types can still be read
                return found
            for (_, is_condition), references in zip(level, browsed, strict=True):
                for reference in references:
                    address = address_of(reference.NodeId, self._namespaces)
                    alarm = is_condition or address == _CONDITION
                    below.append((reference.NodeId, alarm))
                    if int(reference.NodeId.NamespaceIndex):
                        found.append(EventType(str(reference.BrowseName.Name), address, alarm))
            if not below or len(found) > self._bounds.nodes:
                return found
            level = below
        return found


def facts(around: Around) -> Mapping[str, int | str]:
    """The numbers, for people."""
    return {
        "nodes": around.nodes,
        "variables": len(around.variables),
        "notifiers": len(around.notifiers),
        "event_types": len(around.event_types),
        "cut_off": around.cut_off,
    }


def _told(value: ua.DataValue) -> object:
    return value.Value.Value if value.Value is not None else None
