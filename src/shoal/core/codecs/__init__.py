"""Codecs for authors of models: between V2 tensors and what Python programs work with.

    StringCodec    BYTES `[n]`         <-> list of n `str`
    JsonCodec      BYTES `[n]`         <-> list of n JSON values
    NumpyCodec     any datatype        <-> `numpy.ndarray` of the same shape
    ImageCodec     BYTES `[n]`         <-> list of n `PIL.Image.Image`
    PandasCodec    a whole request     <-> `pandas.DataFrame`, one tensor per column

All have the same methods, see `base.Codec`. What does not fit raises `InvalidInput`, which the caller gets as a 4xx.
"""

from shoal.core.codecs.arrays import NumpyCodec
from shoal.core.codecs.base import Codec
from shoal.core.codecs.frames import PandasCodec
from shoal.core.codecs.images import ImageCodec
from shoal.core.codecs.text import JsonCodec, StringCodec

__all__ = ["Codec", "ImageCodec", "JsonCodec", "NumpyCodec", "PandasCodec", "StringCodec"]
