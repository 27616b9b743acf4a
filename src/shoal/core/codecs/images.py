"""Images in ``BYTES`` tensors, each element one encoded picture, as bytes or as base64 text.

Pillow is imported when the codec is used. What is read is bounded: the format is one of `FORMATS`, and a picture that
says it has more than `MAX_PIXELS` is refused before it is unpacked. `ImageCodec.fetch` reads one from a web address
that a caller has named, through the checked fetch of `core.outgoing`.
"""

from __future__ import annotations

import base64
import binascii
import io
from typing import TYPE_CHECKING, Any

from shoal.core.codecs.base import Codec, elements
from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.tensors import bytes_array
from shoal.core.types import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image

    from shoal.core.outgoing.policy import Allow

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 64 * 1024 * 1024
"""Pixels of one picture: 64 Mi, 192 MiB in RGB."""


class ImageCodec(Codec["list[Image]"]):
    """A ``BYTES`` tensor `[n]` and a list of n pictures. PNG is written; any of `FORMATS` is read."""

    @classmethod
    def encode(cls, name: str, payload: list[Image]) -> Tensor:
        items = [_to_png(each) for each in payload]
        return Tensor(name, [len(items)], "BYTES", bytes_array(items), {"content_type": "image/png"})

    @classmethod
    def decode(cls, tensor: Tensor) -> list[Image]:
        return [_to_image(each, f"{tensor.name}[{number}]") for number, each in enumerate(elements(tensor))]

    @staticmethod
    def fetch(url: str, allow: Allow | None = None) -> Image:
        """The picture at a web address; see `core.outgoing.fetch` for what is allowed and raised.

        Raises:
            ShoalError: nothing may be or could be fetched there.
            InvalidInput: it is no picture.
        """
        from shoal.core.outgoing.fetching import fetch  # loads TLS: only for those who need it

        return _to_image(fetch(url, allow, accept="image/*").body, "url")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ConfigError("ImageCodec needs Pillow", hint="pip install 'shoal[image]'") from error
    return Image


def _to_png(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _to_image(data: bytes, field: str) -> Image:
    pillow = _pillow()
    try:
        image = pillow.open(io.BytesIO(_raw(data)), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            message = f"{field} has {image.width} x {image.height} pixels, at most {MAX_PIXELS} are allowed"
            raise InvalidInput(message, field=field)
        image.load()
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
        hint = f"send the bytes of a {', '.join(FORMATS)} file, or their base64"
        raise InvalidInput(f"{field} is no picture that can be read", hint=hint, field=field) from error
    loaded: Image = image
    return loaded


def _raw(data: bytes) -> bytes:
    """The bytes of a picture: base64 (also as a data URL) is undone, anything else is left as it is."""
    text = data.partition(b"base64,")[2] if data.startswith(b"data:") else data
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return data
