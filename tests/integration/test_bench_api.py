"""`andon bench api`: its server is the console's own, and answers every question that it is measured by."""

from pathlib import Path

from andon.benches import api
from andon.clock import wall


def test_every_question_of_the_bench_has_an_answer(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(api, "BASE", 250)
    api._begun(tmp_path, wall())
    with api._server(tmp_path) as server:
        assert {
            what: len(server.get(api._path(path, 3, 250))) > 100 for what, path in api.QUESTIONS.items()
        } == (dict.fromkeys(api.QUESTIONS, True))
        assert server.get("/healthz") == b"ok\n"
