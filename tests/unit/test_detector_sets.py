"""Changes of the plant's detectors: what they touch, what they refuse and how, and versions that go back."""

import json

import pytest

from andon.config import ConfigError
from andon.detector_sets import changed, differences, next_version, read_change, version_of, with_detectors
from andon.plant import Plant
from detectors import kinds, settings_of

PLANT = Plant.model_validate(
    {
        "name": "p",
        "classes": {"pump": [{"kind": "band_energy", "parameters": {"rise": 0.3}}, {"kind": "stop_alarm"}]},
        "assets": [
            {"id": "P1", "name": "P1", "asset_class": "pump", "path": "e/s/a/L1/c"},
            {
                "id": "P2",
                "name": "P2",
                "asset_class": "pump",
                "path": "e/s/a/L1/c",
                "detectors": [{"kind": "band_energy", "parameters": {"rise": 0.5}}],
            },
            {"id": "F1", "name": "F1", "asset_class": "fan", "path": "e/s/a/L1/c"},
        ],
    }
)


def touched(text: str) -> list[tuple[str, str, object, object]]:
    after = changed(PLANT, read_change(text))
    return [(d.asset, d.kind, d.before, d.after) for d in differences(PLANT, after)]


def test_a_class_changes_all_of_its_assets_but_those_with_a_setting_of_their_own() -> None:
    text = '[[change]]\nclass = "pump"\nkind = "band_energy"\nparameters = {rise = 0.4}'
    assert touched(text) == [("P1", "band_energy", {"rise": 0.3}, {"rise": 0.4})]


def test_an_asset_changes_alone() -> None:
    text = '[[change]]\nasset = "P1"\nkind = "band_energy"\nparameters = {leader = 2}'
    assert touched(text) == [("P1", "band_energy", {"rise": 0.3}, {"rise": 0.3, "leader": 2})]


def test_an_asset_that_has_the_products_own_set_keeps_the_rest_of_it() -> None:
    text = '[[change]]\nasset = "F1"\nkind = "band_energy"\nparameters = {rise = 0.4}'
    assert touched(text) == [("F1", "band_energy", {}, {"rise": 0.4})]
    text = '[[change]]\nclass = "fan"\nkind = "stop_alarm"\nremove = true'
    assert touched(text) == [("F1", "stop_alarm", {}, None)]


def test_a_parameter_goes_back_to_its_default_and_a_kind_is_added() -> None:
    text = '[[change]]\nclass = "pump"\nkind = "band_energy"\nreset = ["rise"]'
    assert touched(text) == [("P1", "band_energy", {"rise": 0.3}, {})]
    text = '[[change]]\nasset = "P2"\nkind = "surprise"\nadd = true'
    assert touched(text) == [("P2", "surprise", None, {})]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[change]]\nclas = "pump"\nkind = "x"', "did you mean 'class'?"),
        ('[[change]]\nclass = "pmp"\nkind = "x"\nadd = true', "did you mean 'pump'?"),
        ('[[change]]\nasset = "p1"\nkind = "x"\nadd = true', "did you mean"),
        ('[[change]]\nclass = "pump"\nkind = "band_enrgy"\nreset = ["x"]', "did you mean 'band_energy'?"),
        ('[[change]]\nclass = "pump"\nkind = "band_energy"', "nothing changes"),
        ('[[change]]\nkind = "band_energy"\nremove = true', "say whose detector"),
        ('[[change]]\nclass = "pump"\nkind = "x"\nremove = true\nadd = true', "stands alone"),
        ('[[change]]\nasset = "P1"\nkind = "stop_alarm"\nremove = true', "remove it there"),
        ('[[change]]\nclass = "pump"\nkind = "stop_alarm"\nadd = true', "leave out add"),
        ("note = ", "Invalid value"),
        ("note = ''", "change"),
        ("change = 5", "two brackets"),
        ('[change]\nclass = "pump"\nkind = "band_energy"\nremove = true', "two brackets"),
        ('[[change]]\nclass = "pump"\nkind = "band_energy"\nreset = ["rize"]', "did you mean 'rise'?"),
        ('[[change]]\nclass = "pump"\nkind = "stop_alarm"\nreset = ["x"]', "is not set"),
    ],
)
def test_what_cannot_be_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match="(?i)" + said.replace("?", r"\?")):
        changed(PLANT, read_change(text))


def test_going_back_is_a_new_version_equal_to_the_old() -> None:
    calmer = read_change('[[change]]\nclass = "pump"\nkind = "band_energy"\nparameters = {rise = 0.4}')
    second = next_version(PLANT, changed(PLANT, calmer), note="calmer", by="li", at="")
    then = version_of([PLANT, second], 1)
    assert then is not None
    third = next_version(second, with_detectors(second, then), note="back", by="li", at="", equals=1)
    assert differences(PLANT, third) == []
    assert (third.version, third.detector_set.version, third.detector_set.equals) == (3, 3, 1)
    assert version_of([PLANT, second], 4) is None


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_tells_its_parameters_with_sentence_and_default(kind: str) -> None:
    settings = settings_of(kind, {})
    assert json.loads(json.dumps([one.value for one in settings])) == [one.default for one in settings]
    assert all(one.description for one in settings)
    assert not any(one.changed for one in settings)


def test_a_parameter_that_the_plant_gives_is_marked_with_its_range() -> None:
    (rise,) = [one for one in settings_of("band_energy", {"rise": 0.5}) if one.name == "rise"]
    assert (rise.value, rise.changed, rise.low, rise.high) == (0.5, True, 0, 5)
    assert rise.default != 0.5


def test_a_sweep_is_one_parameter_and_bounded() -> None:
    swept = '[[change]]\nclass = "pump"\nkind = "band_energy"\nsweep = {rise = [0.1, 0.2]}'
    change = read_change(swept)
    assert change.sweep == ("rise", [0.1, 0.2])
    assert [d.after for d in differences(PLANT, changed(PLANT, change.at(0.2)))] == [{"rise": 0.2}]
    with pytest.raises(ConfigError, match="one parameter at a time"):
        read_change(swept.replace("[0.1, 0.2]", "[0.1], leader = [2]"))
