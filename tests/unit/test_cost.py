"""What a deployment is estimated to cost, and the prices that say so."""

import json
import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from facefleet.backends.aws.account import bill, cost
from facefleet.backends.aws.account.bill import Usage, Workers, of_images, total, usage
from facefleet.backends.aws.account.cost import Estimate, Line, estimate
from facefleet.backends.aws.account.prices import prices
from facefleet.settings import Settings

ROOT = Path(__file__).parents[2]
ON_AWS = Settings(backend="aws")
COUNTS = st.floats(min_value=0, max_value=1e6)


@dataclass(frozen=True)
class Options:
    web_type: str = "t3.small"
    controller_type: str = "t3.micro"
    credits: str = "unlimited"


def line(found: Estimate, what: str) -> Line:
    return next(one for one in (*found.idle, *found.busy) if one.what == what)


def templates() -> list[dict[str, Any]]:
    """What both stacks are made of."""
    paths = (ROOT / "deploy" / f"{name}.yaml" for name in ("store", "fleet"))
    return [one for path in paths for one in yaml.safe_load(path.read_text())["Resources"].values()]


# What is estimated


def test_a_month_of_idleness_is_the_sum_of_its_lines() -> None:
    found = estimate(ON_AWS, Options())
    assert found.is_whole
    assert found.idle_sum == pytest.approx(sum(one.dollars for one in found.idle))
    assert line(found, "web").dollars == pytest.approx(730 * prices().instances["t3.small"].hour)
    assert line(found, "public addresses").dollars == pytest.approx(2 * 730 * 0.005)


def test_a_full_warm_pool_is_paid_for_by_its_disks() -> None:
    assert "19 disks" in line(estimate(ON_AWS, Options()), "stopped workers").how
    assert "4 disks" in line(estimate(replace(ON_AWS, warm_pool=2, warm_least=4), Options()), "stopped workers").how
    assert "3 disks" in line(estimate(replace(ON_AWS, max_instances=3), Options()), "stopped workers").how
    assert "stopped workers" not in [one.what for one in estimate(replace(ON_AWS, warm_pool=0), Options()).idle]


def test_workers_that_always_run_are_paid_for_all_month() -> None:
    idle, busy = estimate(ON_AWS, Options()), estimate(replace(ON_AWS, min_instances=2), Options())
    assert line(busy, "workers that always run").dollars == pytest.approx(2 * 730 * 0.0416)
    assert line(busy, "public addresses").dollars == 2 * line(idle, "public addresses").dollars
    assert "workers that always run" not in [one.what for one in idle.idle]


def test_the_price_of_an_unknown_type_is_not_guessed() -> None:
    found = estimate(replace(ON_AWS, instance_types="x9.huge,t3.medium"), Options(web_type="y1.tiny"))
    assert line(found, "web").dollars is None and "y1.tiny" in line(found, "web").how
    assert line(found, "workers").dollars is None and "x9.huge" in line(found, "workers").how
    assert found.in_short.startswith("at least $")
    assert not estimate(ON_AWS, Options(web_type="y1.tiny")).is_whole
    assert not estimate(replace(ON_AWS, instance_types="x9.huge"), Options()).is_whole


def test_another_region_is_told_that_these_are_not_its_prices() -> None:
    assert not any("eu-west-1" in note for note in estimate(ON_AWS, Options()).notes)
    assert any("eu-west-1" in note for note in estimate(ON_AWS, Options(), region="eu-west-1").notes)


def test_who_does_not_pay_for_credits_is_told_that_workers_wait() -> None:
    unlimited, standard = estimate(ON_AWS, Options()), estimate(ON_AWS, Options(credits="standard"))
    assert line(unlimited, "CPU credits").dollars > line(unlimited, "workers").dollars
    assert "CPU credits" not in [one.what for one in standard.busy]
    assert any("20% of its speed" in note for note in standard.notes)
    steady = estimate(replace(ON_AWS, instance_types="c7g.large"), Options(credits="standard"))
    assert not any("speed" in note for note in steady.notes)


def test_spot_makes_workers_cheaper() -> None:
    shares = [line(estimate(replace(ON_AWS, spot_share=s), Options()), "workers").dollars for s in (0, 0.5, 1)]
    assert shares == sorted(shares, reverse=True)
    assert shares[1] == pytest.approx((shares[0] + shares[2]) / 2)


def test_what_is_kept_longer_costs_more() -> None:
    week, month = (line(estimate(replace(ON_AWS, keep_days=d), Options()), "S3 storage").dollars for d in (7, 28))
    assert month == pytest.approx(4 * week)


def test_an_estimate_can_be_told_as_json() -> None:
    found = estimate(ON_AWS, Options())
    told = json.loads(json.dumps(found.as_json))
    assert told["idle_sum"] == round(found.idle_sum, 2)
    assert [one["what"] for one in told["busy"]] == [one.what for one in found.busy]


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_more_of_anything_is_never_cheaper(cpu: float, sqs: float, puts: float, gets: float, more: float) -> None:
    workers = Workers("t3.micro")

    def dollars(used: Usage) -> float:
        return total(of_images(used, 1, workers, 7, prices()))

    used = Usage(cpu_seconds=cpu, sqs_requests=sqs, s3_puts=puts, s3_gets=gets)
    for name in ("cpu_seconds", "sqs_requests", "s3_puts", "s3_gets", "bytes_stored", "bytes_answered"):
        assert dollars(replace(used, **{name: getattr(used, name) + more})) >= dollars(used)


# What it is made of


def test_alarms_and_metrics_are_as_many_as_the_templates_have() -> None:
    alarms = [one["Properties"] for one in templates() if one["Type"] == "AWS::CloudWatch::Alarm"]
    watched = [sum("MetricStat" in metric for metric in alarm.get("Metrics", ())) or 1 for alarm in alarms]
    assert sum(watched) == cost.WATCHED
    assert [one["Type"] for one in templates()].count("AWS::Logs::MetricFilter") == cost.LOGGED


def test_disks_are_as_large_as_the_templates_say() -> None:
    made = [one["Properties"]["LaunchTemplateData"] for one in templates() if one["Type"] == "AWS::EC2::LaunchTemplate"]
    disks = [disk["Ebs"] for data in made for disk in data["BlockDeviceMappings"]]
    assert len(disks) == 3
    assert {(disk["VolumeType"], disk["VolumeSize"]) for disk in disks} == {("gp3", cost.DISK_GB)}


def test_each_price_tells_its_unit_and_where_it_was_read() -> None:
    listed = prices()
    for name, price in listed.prices.items():
        assert price.each > 0 and price.unit, name
    for name, source in listed.sources.items():
        assert source.url.startswith("https://") and source.what, name
    used = {id(price.source) for price in listed.prices.values()}
    unused = {name for name, source in listed.sources.items() if id(source) not in used}
    # Those of instances, which the file's comments name.
    assert unused == {"price-list", "spot", "credits", "baseline"}


def test_a_spot_instance_costs_less_than_one_on_demand() -> None:
    for name, one in prices().instances.items():
        assert 0 < one.spot < one.hour, name
        assert (one.surplus > 0) == (one.baseline < 1) == name.startswith("t"), name


def test_the_default_types_have_a_price() -> None:
    fleet = yaml.safe_load((ROOT / "deploy" / "fleet.yaml").read_text())["Parameters"]
    kinds = [fleet[name]["Default"] for name in ("WorkerType", "WebType", "ControllerType")]
    assert {*kinds, *ON_AWS.instance_types.split(",")} <= prices().instances.keys()


def test_figures_are_installed_with_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["facefleet"]
    installed = {path for pattern in patterns for path in (ROOT / "facefleet").glob(pattern)}
    assert {path for path in (ROOT / "facefleet").rglob("*.toml")} <= installed


def test_usage_names_nothing_that_the_file_does_not() -> None:
    assert set(usage()) == {"image", "idle_hour"}
    assert usage()["image"].cpu_seconds > 0
    assert re.search(r"python -m bench\.cost", (Path(bill.__file__).parent / bill.FILE).read_text())
