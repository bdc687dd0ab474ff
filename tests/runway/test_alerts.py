"""The alerts, the dashboard, and the runbook name what there is; and each alert fires."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from django.conf import settings
from prometheus_client import REGISTRY
from prometheus_client.registry import CollectorRegistry

import earthbeam.metrics  # noqa: F401
import edu.metrics  # noqa: F401
from runway import gauges

OPS = settings.BASE_DIR / "ops"
RUNBOOK = (settings.BASE_DIR / "docs/runbook.md").read_text()
ALERTS = [
    rule
    for group in yaml.safe_load((OPS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
METRIC = re.compile(r"\brunway_[a-z_]+\b")
promtool = shutil.which("promtool")


def metrics():
    """The names of all metrics, without what Prometheus' formats add to them."""
    counted = {each.name for each in REGISTRY.collect() if each.name.startswith("runway_")}
    registry = CollectorRegistry()
    registry.register(gauges.Now([]))
    return counted | {each.name for each in registry.collect()}


def named_in(text):
    return {re.sub(r"_(?:total|bucket|count|sum)$", "", name) for name in METRIC.findall(text)}


@pytest.mark.django_db
def test_alerts_dashboard_and_runbook_name_metrics_that_there_are():
    known = metrics()
    alerts = named_in(" ".join(rule["expr"] for rule in ALERTS))
    panels = json.loads((OPS / "grafana.json").read_text())["panels"]
    dashboard = named_in(" ".join(each["expr"] for panel in panels for each in panel["targets"]))
    assert alerts - known == set()
    assert dashboard - known == set()
    assert named_in(RUNBOOK.split("## Metrics")[1].split("## Runway")[0]) == known


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_each_alert_leads_to_its_page_of_the_runbook(rule):
    assert f"\n## {rule['alert']}\n" in RUNBOOK
    assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
    assert rule["labels"]["severity"] in ("page", "ticket")


def test_the_runbook_has_no_page_without_an_alert():
    pages = set(re.findall(r"^## (Runway\w+)$", RUNBOOK, re.MULTILINE))
    assert pages == {rule["alert"] for rule in ALERTS}


def test_each_check_that_alerts_wait_for_is_one_of_readiness():
    waited_for = set(re.findall(r'check="(\w+)"', (OPS / "alerts.yml").read_text()))
    source = (settings.BASE_DIR / "runway/health.py").read_text()
    assert {name for name in waited_for if f'Finding("{name}", ' not in source} == set()


@pytest.mark.skipif(promtool is None, reason="needs Prometheus' promtool")
def test_each_alert_fires_when_it_should_and_none_on_a_good_day():
    checked = (OPS / "alerts_test.yml").read_text()
    bad_day = checked.split("a bad day")[1]
    assert {rule["alert"] for rule in ALERTS if f'"{rule["alert"]}"' not in bad_day} == set()
    done = subprocess.run(
        ("promtool", "test", "rules", OPS / "alerts_test.yml"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
