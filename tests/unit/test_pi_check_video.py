"""`--check`: whether clips can be taken, and whether each entrance does."""

import builtins
from pathlib import Path
from typing import Any

import pytest
from standin import Asked, Entrance, Said, StandIn, json_said, problem
from test_pi_segments import recorded

from pi_uploader.check_board import camera
from pi_uploader.check_service import NOBODYS, service
from pi_uploader.findings import Finding
from pi_uploader.settings import Settings

ALIVE = json_said(200, {"status": "alive", "version": "1"})


def video(spec: str, **more: Any) -> Finding:
    return {finding.check: finding for finding in camera(Settings(camera=spec, width=320, height=240, **more))}["video"]


@pytest.fixture
def usb(tmp_path: Path) -> str:
    cv2, numpy = pytest.importorskip("cv2"), pytest.importorskip("numpy")
    writer = cv2.VideoWriter(str(tmp_path / "camera.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 15, (320, 240))
    for number in range(2000):
        writer.write(numpy.full((240, 320, 3), number % 200, "uint8"))
    writer.release()
    return f"usb:{tmp_path / 'camera.avi'}"


@pytest.mark.parametrize("form", ["h264", "mp4"])
def test_a_clip_is_taken_and_how_long_it_is_told(form: str, usb: str) -> None:
    finding = video(usb, clip=form, segment_seconds=0.2)
    assert finding.ok and not finding.next
    assert "a clip of 0." in finding.detail and " s and " in finding.detail


def test_where_nothing_encodes_clips_the_rest_is_well_and_what_brings_it_is_told(
    usb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = builtins.__import__

    def without_av(name: str, *rest: Any) -> Any:
        if name == "av":
            raise ImportError("No module named 'av'")
        return theirs(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_av)
    finding = video(usb)
    assert finding.ok and "photos can" in finding.detail
    assert "requirements-video.txt" in finding.next and "apt install -y python3-av" in finding.next


def test_a_folder_may_have_photos_alone(photos: Path) -> None:
    finding = video(f"folder:{photos}")
    assert finding.ok and not finding.next
    assert finding.detail.startswith("photos alone: there are no clips in")


def test_a_file_that_is_no_clip_is_told(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "a.png").write_bytes((photos / "32bit.png").read_bytes())
    (tmp_path / "a.mp4").write_bytes(b"<html>")
    assert "can be read as h264 or mp4" in video(f"folder:{tmp_path}", segment_seconds=0.2).next
    (tmp_path / "a.mp4").write_bytes(recorded(5)[0].data)
    assert video(f"folder:{tmp_path}", segment_seconds=0.2).ok


def of_function(asked: Asked) -> Said:
    """Which has no `/readyz` and no fleet."""
    return ALIVE if asked.path == "/healthz" else problem(404, "not_found")


def findings_of(standin: StandIn, **more: Any) -> dict[str, Finding]:
    return {finding.check: finding for finding in service(Settings(url=standin.url, **more))}


def test_a_function_is_as_well_as_a_fleet() -> None:
    with StandIn(of_function) as standin:
        findings = findings_of(standin, api_key="right")
    assert list(findings) == ["service", "clock", "ready", "key"]
    assert all(finding.ok for finding in findings.values())
    assert standin.asked[-1].path == NOBODYS


@pytest.mark.parametrize("answer", [Said(404, b"<html>"), json_said(404, {"message": "Not Found"})])
def test_a_404_that_is_not_the_services_says_nothing_of_the_key(answer: Said) -> None:
    with StandIn(lambda asked: ALIVE if asked.path == "/healthz" else answer) as standin:
        assert not findings_of(standin)["key"].ok


def test_where_captures_go_is_asked_for_and_nothing_put_there() -> None:
    entrance = Entrance()
    with StandIn(lambda asked: entrance(asked) if "/uploads" in asked.path else of_function(asked)) as standin:
        entrance.url = standin.url
        finding = findings_of(standin, upload="presigned")["uploads"]
    assert finding.ok and f"captures go to {standin.url}" in finding.detail
    assert entrance.put == {} and "PUT" not in {asked.method for asked in standin.asked}
    assert "Signature" not in finding.detail


def test_a_service_without_a_bucket_is_told() -> None:
    none = problem(501, "no_uploads")
    with StandIn(lambda asked: none if "/uploads" in asked.path else of_function(asked)) as standin:
        finding = findings_of(standin, upload="presigned")["uploads"]
    assert not finding.ok and "set upload to direct" in finding.detail
