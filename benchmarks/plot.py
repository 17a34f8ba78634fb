"""Figures as pictures: bars of text for a terminal, and a PNG where matplotlib is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_WIDTH = 50

#: Requests a second, by load and system.
Medians = Mapping[str, Mapping[str, float]]


def bars(medians: Medians) -> Iterator[str]:
    """One bar a system, in groups by load; the longest of a group is full."""
    for load, rates in medians.items():
        yield load
        most = max(rates.values()) or 1.0
        for system, rate in rates.items():
            yield f"  {system:12} {'█' * round(_WIDTH * rate / most):{_WIDTH}} {rate:,.0f}/s"


def save_png(medians: Medians, path: str) -> None:
    """The same as a picture."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise SystemExit("matplotlib is not installed, so there is no picture: pip install matplotlib") from None
    systems = list(next(iter(medians.values())))
    figure = Figure(figsize=(2 + 1.6 * len(medians), 4.5), layout="constrained")
    axes = figure.subplots()
    for number, system in enumerate(systems):
        places = [place + number / (len(systems) + 1) for place in range(len(medians))]
        drawn = axes.bar(places, [rates[system] for rates in medians.values()], 1 / (len(systems) + 1), label=system)
        axes.bar_label(drawn, fmt="{:,.0f}", fontsize=7)
    middle = (len(systems) - 1) / 2 / (len(systems) + 1)
    axes.set_xticks([place + middle for place in range(len(medians))], list(medians), rotation=20, ha="right")
    axes.set_ylabel("requests a second, median of the rounds")
    axes.legend()
    figure.savefig(path, dpi=120)
