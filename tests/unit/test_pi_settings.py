"""The settings of the Pi client: one file, a few options, and words for whatever is wrong."""

from pathlib import Path

import pytest

from pi_uploader.settings import KEY_VARIABLE, BadSettings, Settings, load

NONE: dict[str, str] = {}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pi_uploader.toml"


def test_what_the_file_leaves_out_has_its_default(file: Path) -> None:
    file.write_text('url = "http://laptop:8000/"\nbutton_pin = 5\n')
    assert load(file, {}, NONE) == Settings(url="http://laptop:8000", button_pin=5)


def test_an_option_goes_before_the_file_and_one_that_is_not_given_does_not(file: Path) -> None:
    file.write_text('url = "http://laptop:8000"\ncamera = "usb"\n')
    settings = load(file, {"url": "https://faces.example", "camera": None}, NONE)
    assert (settings.url, settings.camera) == ("https://faces.example", "usb")


def test_the_key_of_the_environment_goes_before_that_of_the_file_and_is_not_shown(file: Path) -> None:
    file.write_text('api_key = "of-the-file"\n')
    settings = load(file, {}, {KEY_VARIABLE: "of-the-environment"})
    assert settings.api_key == "of-the-environment"
    assert "of-the" not in repr(settings)


def test_an_unknown_setting_is_told_with_those_that_there_are(file: Path) -> None:
    file.write_text('adress = "http://laptop:8000"\n')
    with pytest.raises(BadSettings, match=r"there is no setting adress, but api_key, .*, url, width, working_pin$"):
        load(file, {}, NONE)


def test_whole_seconds_will_do_and_half_a_pin_will_not(file: Path) -> None:
    file.write_text("hold = 2\n")
    assert load(file, {}, NONE).hold == 2.0
    file.write_text("button_pin = 17.5\n")
    with pytest.raises(BadSettings, match="button_pin is a whole number"):
        load(file, {}, NONE)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("button_pin = 28", "button_pin is 28: it is from 0 to 27"),
        ("button_pin = true", "button_pin is a whole number, not True"),
        ("bounce = nan", "bounce is nan: it is from 0.001 to 1"),
        ("seconds = inf", "seconds is inf: it is from 0.1"),
        ("uploads = 0", "uploads is 0: it is from 1 to 16"),
        ("known_pin = 17", "button_pin and known_pin are both 17"),
        ('on_hold = "explode"', "on_hold is exit or poweroff, not 'explode'"),
        ('data = "~nobody-of-that-name/x"', "data is ~nobody-of-that-name/x: .* name a folder without ~"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_with_what_can(file: Path, line: str, words: str) -> None:
    file.write_text(f"{line}\n")
    with pytest.raises(BadSettings, match=words):
        _ = load(file, {}, NONE).folder


@pytest.mark.parametrize(
    "url",
    [
        "",
        "laptop:8000",
        "ftp://laptop",
        "http://",
        "http://:8000",
        "http://[::1",
        "http://laptop:80000",
        "http://laptop:port",
        "http://laptop:0",
        "http://lap top",
        "http://laptop\n",
        "http://laptop/?a=b",
        "http://laptop/#top",
    ],
)
def test_what_is_no_address_of_a_service_is_refused(url: str) -> None:
    with pytest.raises(BadSettings, match="url is http://HOST:8000 or https://HOST"):
        Settings(url=url)


@pytest.mark.parametrize("url", ["http://10.0.0.7:8000", "https://faces.example/facefleet", "http://[::1]:8000"])
def test_addresses_by_name_number_and_path_are_taken(url: str) -> None:
    assert Settings(url=url).url == url


@pytest.mark.parametrize(
    "key", ["geheim\r\nx-other: b", "geheim\n", " geheim", "ge heim", "schlüssel", "geheim\0", "geheim\x7f"]
)
def test_a_key_that_would_not_stay_one_header_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(BadSettings, match="api_key is of visible ASCII characters") as refused:
        load(None, {}, {KEY_VARIABLE: key})
    assert "heim" not in str(refused.value)


def test_a_file_that_is_no_toml_or_cannot_be_read_is_told_by_name(file: Path, tmp_path: Path) -> None:
    for content in (b"url = http://laptop", b"\xff\xfeu\0r\0l\0", b"[[["):
        file.write_bytes(content)
        with pytest.raises(BadSettings, match=f"{file} is not TOML"):
            load(file, {}, NONE)
    with pytest.raises(BadSettings, match=r"no-such\.toml cannot be read .* name another with --settings"):
        load(tmp_path / "no-such.toml", {}, NONE)
    with pytest.raises(BadSettings, match="cannot be read"):
        load(tmp_path, {}, NONE)
