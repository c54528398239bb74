"""What a load comes to: percentiles, bars, what went wrong; and the file with a row for each upload."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from facefleet import csvline
from facefleet.cli import newfile
from facefleet.cli.loading import figures, picture, results
from facefleet.cli.loading.answer import Answer
from facefleet.cli.loading.engine import Outcome
from facefleet.cli.loading.figures import MOST_CODES, Tally
from facefleet.cli.loading.results import Row
from facefleet.cli.loading.work import Upload
from facefleet.errors import BadFile, BadSettings, NotFound, Unavailable
from facefleet.model import Failure

SECONDS = st.floats(1e-5, 2000.0)
UPLOAD = Upload(0, Path("a.jpg"), "test_0.jpg")
LINE = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")))
ATTRIBUTES = st.none() | st.dictionaries(LINE, st.text() | st.integers() | st.none(), max_size=3)
ROWS = st.builds(
    Row,
    file=LINE,
    name=LINE,
    status=st.sampled_from(("done", "failed")),
    answer=LINE,
    attributes=ATTRIBUTES,
    latency=st.floats(0, 1000),
    code=LINE,
    job=LINE,
)


def answered(latency: float, *, cached: bool = False, late: float = 0.0, retries: int = 0) -> Outcome:
    return Outcome(UPLOAD, latency, late, retries, Answer("paul", was_cached=cached))


def failed(code: str, detail: str = "why") -> Outcome:
    return Outcome(UPLOAD, 1.0, 0.0, 0, failure=Failure(code, detail))


def tally_of(*outcomes: Outcome) -> Tally:
    tally = Tally()
    for outcome in outcomes:
        tally.add(outcome)
    return tally


def test_a_percentile_is_a_latency_that_was_measured() -> None:
    hundred = [float(i) for i in range(1, 101)]
    assert figures.summary(hundred) == {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
    assert figures.summary([0.25]) == dict.fromkeys(("p50", "p90", "p95", "p99", "max"), 0.25)


@given(st.lists(SECONDS, min_size=1), st.integers(1, 100))
def test_so_many_of_a_hundred_are_no_longer_than_a_percentile_and_fewer_are_shorter(
    latencies: list[float], share: int
) -> None:
    found = figures.percentile(sorted(latencies), share)
    assert sum(one <= found for one in latencies) * 100 >= share * len(latencies)
    assert sum(one < found for one in latencies) * 100 < share * len(latencies)


@given(st.lists(SECONDS, min_size=1))
@example([0.001])
@example([0.1, 0.2])
@example([1e-5, 2000.0])
def test_each_latency_is_in_the_bar_whose_seconds_it_has_and_in_no_other(latencies: list[float]) -> None:
    bars = figures.counts(latencies)
    assert sum(count for _, _, count in bars) == len(latencies) and len(bars) <= figures.BARS + 1
    assert all(one[1] == other[0] for one, other in pairwise(bars)) and all(begin < end for begin, end, _ in bars)
    for begin, end, count in bars[1:]:
        assert count == sum(begin <= one < end for one in latencies)


def test_what_happened_is_counted() -> None:
    tally = tally_of(
        answered(0.1),
        answered(0.3, cached=True),
        answered(0.2, late=0.5, retries=2),
        failed("timeout", "first"),
        failed("timeout"),
    )
    found = tally.figures(2.0)
    assert (found.sent, found.answered, found.failed, found.cached, found.late, found.retries) == (5, 3, 2, 1, 1, 2)
    assert found.throughput == 1.5 and found.latency and found.latency["max"] == 0.3
    assert found.errors["timeout"] == figures.Trouble(2, "first")
    words = dict(figures.in_words(found))
    assert words["failed"] == "2 × timeout: first" and words["answered"] == "3 of 5 in 2.00 s"


def test_a_service_that_makes_up_codes_fills_no_memory() -> None:
    found = tally_of(*(failed(f"code_{i}") for i in range(500))).figures(1.0)
    assert len(found.errors) == MOST_CODES + 1 and found.errors["other"].count == 500 - MOST_CODES


def test_where_nothing_was_answered_there_are_no_latencies() -> None:
    found = tally_of(failed("unreachable")).figures(1.0)
    assert found.latency is None and "latency" not in dict(figures.in_words(found))


@pytest.mark.parametrize("ending", picture.ENDINGS)
def test_the_latencies_are_drawn(tmp_path: Path, ending: str) -> None:
    file, tally = tmp_path / f"l{ending}", tally_of(*(answered(0.1 + i / 100) for i in range(50)))
    picture.draw(tally.latencies, tally.figures(1.0), file)
    if ending == ".png":
        with Image.open(file) as image:
            # Bars are blue, and there are some.
            colours = dict((colour, count) for count, colour in image.convert("RGB").getcolors(1 << 20))
        assert max(count for (r, _, b), count in colours.items() if b > r + 60) > 5000
    else:
        assert "<svg" in file.read_text()


def test_a_picture_or_results_that_cannot_be_written_are_refused_before_the_run(tmp_path: Path) -> None:
    for endings, good, bad in ((picture.ENDINGS, "a.png", "a.bmp"), (results.ENDINGS, "a.csv", "a.xlsx")):
        newfile.check(tmp_path / good, endings)
        for file in (tmp_path / bad, tmp_path / "nowhere" / good):
            with pytest.raises(BadSettings):
                newfile.check(file, endings)
    with pytest.raises(NotFound):
        picture.draw([], tally_of().figures(1.0), tmp_path / "a.png")


@given(st.lists(ROWS, max_size=5), st.sampled_from(results.ENDINGS))
def test_rows_that_were_written_are_read_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], ending: str
) -> None:
    file = tmp_path_factory.mktemp("rows") / f"r{ending}"
    with results.writing(file) as write:
        for row in rows:
            write(row)
    assert list(results.read(file)) == rows


def test_a_row_is_there_as_soon_as_it_is_written(tmp_path: Path) -> None:
    with results.writing(tmp_path / "r.csv") as write:
        write(results.row_of(answered(0.25)))
        lines = (tmp_path / "r.csv").read_text().splitlines()
    assert lines == ["file,name,status,answer,attributes,latency,code,job", "a.jpg,test_0.jpg,done,paul,,0.25,,"]


def test_a_row_tells_what_a_spreadsheet_may_read_as_text(tmp_path: Path) -> None:
    outcome = Outcome(UPLOAD, 0.1, 0.0, 0, Answer("=1+1", {"major": "@x"}, "j"))
    with results.writing(tmp_path / "r.csv") as write:
        write(results.row_of(outcome))
    cells = (tmp_path / "r.csv").read_text().splitlines()[1].split(",")
    assert cells[3] == f"{csvline.MARK}=1+1"
    (row,) = results.read(tmp_path / "r.csv")
    assert (row.answer, row.attributes) == ("=1+1", {"major": "@x"})


def test_a_row_of_a_failure_has_its_code_and_no_answer() -> None:
    assert results.row_of(failed("timeout")) == Row("a.jpg", "test_0.jpg", "failed", latency=1.0, code="timeout")


@pytest.mark.parametrize(
    "text", ["a,b\n", "file,name,status,answer,attributes,latency,code,job\na,b,c\n", "1,2,3,4,[],x,7,8\n"]
)
def test_a_line_of_something_else_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(BadFile, match=rf"line {text.count(chr(10))}\b"):
        list(results.read(tmp_path / "r.csv"))


@pytest.mark.parametrize(
    "line", ["", "{", "[]", '{"file": "a"}', json.dumps({"file": "a", "name": 1, "status": "done"})]
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str) -> None:
    good = json.dumps({"file": "a", "name": "b", "status": "done", "later": 1})
    (tmp_path / "r.jsonl").write_text(f"{good}\n{line}\n")
    if not line:
        assert list(results.read(tmp_path / "r.jsonl")) == [Row("a", "b", "done")]
        return
    with pytest.raises(BadFile, match="line 2"):
        list(results.read(tmp_path / "r.jsonl"))


def test_a_full_disk_is_told_and_an_error_of_somebody_else_is_not_called_so() -> None:
    with pytest.raises(Unavailable, match="/dev/full cannot be written"), results.writing(Path("/dev/full")) as write:
        write(Row("a", "b", "done"))
    with pytest.raises(Unavailable, match="not a disk"), results.writing(Path("/dev/null")):
        raise Unavailable("not a disk")
