"""`andon user` and `andon key` on the store of an installation, and what `andon run` makes of it."""

import json
import re
from pathlib import Path

import pytest

from andon.__main__ import main
from andon.access import speaking
from andon.access.roles import Right
from andon.access.signing_in import Desk
from andon.clock import wall
from andon.datadir import open_store
from tests.certificates import Authority


@pytest.fixture
def data(tmp_path: Path) -> Path:
    open_store(tmp_path / "data").dispose()
    return tmp_path / "data"


def andon(data: Path, *words: str) -> int:
    return main([*words, "--data", str(data)])


def test_accounts_and_keys_are_made_used_and_taken_away(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert andon(data, "user", "add", "root", "--role", "administrator") == 0
    said = capsys.readouterr().out
    (secret,) = re.findall(r"shown once: (\S+)", said)
    assert "from the next start" in said
    assert andon(data, "user", "add", "li", "--role", "planner", "--place", "acme/east") == 0
    assert "from the next start" not in capsys.readouterr().out
    database = open_store(data)
    desk = Desk(database)
    token = desk.sign_in("root", secret, now_ns=wall())
    speaker = speaking.by_session(database, token, wall(), desk.lifetimes)
    assert speaker is not None
    assert speaker.must_change
    assert andon(data, "user", "roles", "li", "viewer", "quality") == 0
    assert andon(data, "user", "places", "li") == 0
    assert andon(data, "user", "unlock", "li") == 0
    capsys.readouterr()
    assert andon(data, "user", "list", "--json") == 0
    accounts = {one["id"]: one for one in json.loads(capsys.readouterr().out)["accounts"]}
    assert (accounts["li"]["roles"], accounts["li"]["places"]) == (["quality", "viewer"], [])
    assert andon(data, "key", "add", "li", "--name", "MES", "--right", "plan") == 1
    assert "some of its account's rights" in capsys.readouterr().err
    assert andon(data, "key", "add", "li", "--name", "MES", "--days", "2") == 0
    assert re.search(r"andon_\S{20,}", capsys.readouterr().out)
    assert andon(data, "key", "list", "--json") == 0
    (key,) = json.loads(capsys.readouterr().out)["keys"]
    assert (key["account"], key["rights"]) == ("li", [Right.READ])
    assert "andon_" in key["prefix"]
    assert key["name"] == "MES"
    assert andon(data, "key", "revoke", "1") == 0
    assert andon(data, "user", "disable", "root") == 1
    assert "only administrator" in capsys.readouterr().err
    assert andon(data, "user", "disable", "li") == 0
    capsys.readouterr()
    assert andon(data, "user", "log", "--json") == 0
    log = json.loads(capsys.readouterr().out)
    assert log["first_break"] is None
    assert [one["action"] for one in log["deeds"]][:3] == ["account_disabled", "key_revoked", "key_made"]
    assert all(one["actor"] for one in log["deeds"])
    database.dispose()


def test_beyond_this_machine_nothing_runs_without_anybody_who_could_sign_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate, key = Authority(tmp_path / "pki").issue("console")
    web = f'host = "0.0.0.0"\nnames = ["a.example"]\nport = 0\ncertificate = "{certificate}"\nkey = "{key}"\n'
    file = tmp_path / "andon.toml"
    file.write_text(f'data = "{tmp_path}/data"\n[web]\n{web}[sources.floor]\nkind = "listener"\nport = 0\n')
    assert main(["run", "--config", str(file)]) == 1
    assert "andon user add NAME --role administrator" in capsys.readouterr().err
    key.write_text("no key")
    assert main(["run", "--config", str(file)]) == 1
    assert "andon init --tls makes new ones" in capsys.readouterr().err
