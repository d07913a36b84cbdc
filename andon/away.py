"""Sources without a connection for so long that a person has to know: connected is the least that can be asked of one."""

from collections.abc import Mapping

from andon.events import Json

AWAY_S = 45.0
"""How long a source may be without a connection before it is said; a broker that restarts is back sooner."""


class Away:
    """Since when each source has no connection, by a clock that the caller reads."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[float, str]] = {}

    def look(self, name: str, status: Mapping[str, Json], now_s: float, *, running: bool) -> str:
        """What is to be said of that source: why it is away, empty while it is not or not for long.

        A source that does not run has no connection either. The reason stays the one that was heard when it
        was first said, so that each try that fails otherwise is no news.
        """
        if running and status.get("connected") is not False:
            self._since.pop(name, None)
            return ""
        since_s, said = self._since.setdefault(name, (now_s, ""))
        if now_s - since_s < AWAY_S:
            return ""
        if not said:
            said = str(status.get("error") or status.get("reason") or "no connection")
            self._since[name] = since_s, said
        return said
