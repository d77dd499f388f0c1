"""Experiments cut short, for tests that train."""

import dataclasses

from metst_lib import experiment


def shorter(config: experiment.Config, epochs: int = 2) -> experiment.Config:
    """The same experiment with a few epochs of training."""
    short = {
        network: dataclasses.replace(settings, epochs=epochs)
        for network, settings in config.settings.training.items()
    }
    return dataclasses.replace(config, settings=dataclasses.replace(config.settings, training=short))
