"""NumPy arrays as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shoal.core.codecs.base import Codec
from shoal.core.tensors import from_array
from shoal.core.types import Tensor


class NumpyCodec(Codec["npt.NDArray[Any]"]):
    """A tensor of any datatype and an array of the same shape; ``BYTES`` is an object array of `bytes`."""

    @classmethod
    def encode(cls, name: str, payload: npt.NDArray[Any]) -> Tensor:
        """An array (or what NumPy makes one of) as a tensor; text of dtype ``U``, ``S`` or object becomes ``BYTES``."""
        return from_array(name, np.asarray(payload))

    @classmethod
    def decode(cls, tensor: Tensor) -> npt.NDArray[Any]:
        return tensor.as_numpy()
