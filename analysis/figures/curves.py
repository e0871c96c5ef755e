"""Training curves of the seed report's models and of every trial, beside what needs no network."""

from __future__ import annotations

from matplotlib.figure import Figure

from analysis.figures import style
from analysis.figures.style import ACCURACY, DASHED, DOTTED, ERROR, LOSS, Level, Panel
from analysis.read.runs import Run
from analysis.read.seed_report import CLASSIFIERS, MODELS
from analysis.tables.classifiers import FLOORS


def autoencoder_presets(run: Run) -> Figure | None:
    """Loss as optimised, and validation MSE, log-log."""
    levels = (_mean_image(run),)
    panels = [
        Panel("train_loss", "training loss, as optimised", ERROR, levels),
        Panel("validation_mse", "validation MSE, noise and dropout off", ERROR, levels),
    ]
    return style.preset_curves(run, [model.preset for model in MODELS], panels)


def autoencoder_trials(run: Run) -> Figure | None:
    """Validation MSE of every trial, a panel per code size, log-log."""
    panels, mean = {}, _mean_image(run)
    for size in run.groups:
        pca = run.floor("pca", str(size)).value("validation_mse")
        levels = (Level("PCA, as many components", pca, DASHED), mean)
        panels[size] = Panel("validation_mse", f"code {size}", ERROR, levels)
    return style.trial_curves(run, panels)


def classifier_presets(run: Run) -> Figure | None:
    """Loss as optimised, log-log, and validation accuracy."""
    panels = [Panel("train_loss", "training loss, as optimised", LOSS), _accuracy_panel(run)]
    return style.preset_curves(run, [model.preset for model in CLASSIFIERS], panels)


def classifier_trials(run: Run) -> Figure | None:
    """Validation accuracy of every trial."""
    return style.trial_curves(run, dict.fromkeys(run.groups, _accuracy_panel(run)))


def _mean_image(run: Run) -> Level:
    return Level("mean image", run.floor("mean_image").value("validation_mse"), DOTTED)


def _accuracy_panel(run: Run) -> Panel:
    levels = tuple(
        Level(FLOORS[name], run.floor(name).value("validation_accuracy"), look)
        for name, look in (("1-nn", DASHED), ("nearest_mean", DOTTED))
    )
    return Panel("validation_accuracy", "validation accuracy", ACCURACY, levels)
