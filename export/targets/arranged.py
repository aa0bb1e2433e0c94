"""Inputs as a tower file takes them: layout, order of channels, type."""

import numpy as np

from export.targets.target import Conversion, Inputs
from retrieval.spec.bundle import Interface


def arranged(inputs: Inputs, interface: Interface, *, reverse: bool) -> Inputs:
    """Bring inputs into the form of a file.

    Args:
        inputs: RGB pixels ``(batch, 3, size, size)``, or token ids, which have no layout and
            change their type only.
        interface: What the file takes.
        reverse: Whether it takes BGR.
    """
    if interface.layout is not None and reverse:
        inputs = inputs[:, ::-1]
    if interface.layout == "NHWC":
        inputs = inputs.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(inputs, dtype=interface.type)


def arranged_for(conversion: Conversion, inputs: Inputs, interface: Interface) -> Inputs:
    """The same for a file that is still to be written."""
    return arranged(inputs, interface, reverse=conversion.preprocessing.channel_order == "BGR")
