"""Why a message cannot be used: stable codes, written into dead letters, counters and documentation."""

from enum import StrEnum


class Reason(StrEnum):
    """The codes of a dead letter. They never change their meaning; new ones may be added."""

    MALFORMED_JSON = "malformed_json"  # no JSON, nested too deep, or a number out of range
    NOT_FINITE_JSON = "not_finite_json"  # NaN, Infinity or 1e999 where JSON wants a number
    SCHEMA = "schema"  # valid JSON with a field missing or of the wrong type
    INVALID_UTF8 = "invalid_utf8"
    UNKNOWN_TOPIC = "unknown_topic"
    UNKNOWN_ASSET = "unknown_asset"
    UNKNOWN_POINT = "unknown_point"
    BAD_WAVEFORM_HEADER = "bad_waveform_header"
    WAVEFORM_CRC = "waveform_crc"
    TOO_LARGE = "too_large"
    NOT_AUTHORISED = "not_authorised"
    ID_CONFLICT = "id_conflict"  # an identity came again with another payload; the first one was kept
    SEQUENCE_FORGOTTEN = "sequence_forgotten"  # too old to tell whether it is a duplicate
    SPARKPLUG_NO_BIRTH = "sparkplug_no_birth"  # an edge node or device that has not said what its data means
    SPARKPLUG_UNKNOWN_ALIAS = "sparkplug_unknown_alias"  # a metric that its birth did not name
    RECORD_CORRUPT = "record_corrupt"  # a record of our own journal cannot be read


class Refused(Exception):
    """A message that is kept as a dead letter: `reason` is the code, `detail` tells a person what to mend."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
