"""andon.toml: an empty file is valid, and an error says what to change."""

from pathlib import Path

import pytest

from andon.config import ConfigError, load_config


def written(folder: Path, text: str) -> Path:
    path = folder / "andon.toml"
    path.write_text(text, "utf-8")
    return path


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, ""))
    assert config.web.host == "127.0.0.1"
    assert config.sources == {}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[web]\nprot = 1", "did you mean 'port'"),
        ("dta = 'x'", "did you mean 'data'"),
        ("zzzz = 1", "known keys: data, influx, journal, notify, plant, series, sources, store, web"),
        ("[web]\nport = 99999", "web.port"),
        ("[web]\nhost = '0.0.0.0'", "no loopback address"),
        ("[web]\nhost = 'plant.example'", "no IPv4 address"),
        ("[web]\nhost = '0.0.0.0'\ncertificate = 'a.pem'\nkey = 'a.key'", "list the host names"),
        ("[web]\ncertificate = 'a.pem'", "go together"),
        ("[sources.Floor]\nkind = 'mqtt'", "sources"),
        ("[sources.floor]\nport = 1883", "kind"),
        ("[web", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_what_to_change(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word.replace("(", r"\(")):
        load_config(written(tmp_path, text))


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="write one"):
        load_config(tmp_path / "none.toml")


def test_a_file_that_cannot_be_read_is_refused_and_ends_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(written(tmp_path, "a = " + "[" * 10_000))


def test_a_source_keeps_the_settings_of_its_kind(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "[sources.floor]\nkind = 'listener'\nport = 1883"))
    assert config.sources["floor"].parameters == {"port": 1883}


@pytest.mark.parametrize("name", ["engine", "influx", "plant", "web"])
def test_a_source_cannot_have_the_name_of_a_part(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is the name of a part"):
        load_config(written(tmp_path, f'[sources.{name}]\nkind = "listener"'))
