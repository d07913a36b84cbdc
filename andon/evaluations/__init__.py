"""Recorded data sets, and what the detectors make of them: one file per set.

Each set's file holds `PARAMETERS` (what it was run with, as JSON), `files(folder)` (the recordings in their
order, FileNotFoundError if there are none), `rate(path, folder, scores)` (one row about one recording, or a list
of rows about its parts; it streams: it looks at nothing that comes later, at no length of a file, and at no truth) and `summary(rows)`.
"""

SETS = {
    "nab": "scalars every five minutes, labelled windows (Numenta Anomaly Benchmark)",
    "skab": "a water circuit, eight channels a second, labelled rows",
    "cwru": "bearings with a known damaged element, 12 kHz (Case Western Reserve University)",
    "mfpt": "bearings with a known damaged race, 48.8 kHz",
    "femto": "bearings run to failure in hours, 25.6 kHz (FEMTO-ST PRONOSTIA)",
    "ims": "bearings run to failure in weeks, mean absolute acceleration (NASA/IMS)",
}
