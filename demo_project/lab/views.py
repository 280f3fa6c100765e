"""The lab's pages: what each storm did last, and the buttons that start one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from demo_project.lab import records, running
from demo_project.lab.catalogue import STORMS, Figure, Storm
from demo_project.lab.charts import LEGEND, draw
from demo_project.lab.outcomes import last

__all__ = ["overview", "start", "storm"]


@dataclass(frozen=True)
class Side:
    """A storm's last outcome without its defence, or with it, as a page shows it."""

    defended: bool
    chart: Any
    headline: str
    when: datetime | None


@staff_member_required
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    cards = [(storm, _sides(storm)) for storm in STORMS.values()]
    return render(request, "lab/overview.html", {"cards": cards, "tasks": _tasks(), **_shared()})


@staff_member_required
@require_GET
def storm(request: HttpRequest, name: str) -> HttpResponse:
    chosen = _storm(name)
    sides = _sides(chosen)
    without, with_ = last(name)
    rows = [(figure, _figure(without, figure), _figure(with_, figure)) for figure in chosen.figures]
    kinds = {kind for side in sides if side.chart for kind in side.chart.kinds()}
    legend = [(kind, meaning) for kind, meaning in LEGEND.items() if kind in kinds]
    context = {"storm": chosen, "sides": sides, "rows": rows, "legend": legend, "any": without or with_}
    return render(request, "lab/storm.html", {**context, **_shared()})


@staff_member_required
@require_POST
def start(request: HttpRequest, name: str) -> HttpResponse:
    chosen = _storm(name)
    defence = request.POST.get("defence", "")
    if defence not in {"on", "off", "both"}:
        return HttpResponseBadRequest("The defence is on, off or both.")
    if not running.start(chosen.name, defence):
        messages.warning(request, "A storm is under way already. One at a time.")
    return redirect("lab:storm", name)


def _storm(name: str) -> Storm:
    if name not in STORMS:
        raise Http404(f"There is no storm called {name}.")
    return STORMS[name]


def _sides(storm: Storm) -> list[Side]:
    pair = last(storm.name)
    return [
        Side(bool(defended), chart, _figure(record, storm.headline), _moment(record))
        for defended, (record, chart) in enumerate(zip(pair, draw(storm.name, *pair), strict=True))
    ]


def _shared() -> dict[str, Any]:
    underway = running.underway()
    if underway:
        underway = {**underway, "title": STORMS[underway["storm"]].title, "percent": round(100 * underway["share"])}
    return {"kind": "lab", "storms": STORMS.values(), "underway": underway, "failure": running.failure()}


def _tasks() -> list[dict[str, Any]]:
    return [{**task, "moment": _moment(task)} for task in records.last_runs()]


def _moment(record: records.Record | None) -> datetime | None:
    return datetime.fromtimestamp(record["when"], UTC) if record else None


def _figure(record: records.Record | None, figure: Figure) -> str:
    """A figure as one reads it: 10,000; 0.8 ms; 1.4 s; an en dash for what was not measured."""
    value = record["figures"].get(figure.name) if record else None
    if value is None:
        return "–"  # noqa: RUF001 - a dash
    digits = 1 if figure.unit == "s" or (figure.unit and value < 10) else 0
    return f"{value:,.{digits}f}" + (f" {figure.unit}" if figure.unit else "")
