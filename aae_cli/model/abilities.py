"""What a checkpoint can do, decided once from its header."""

from __future__ import annotations

from .checkpoint import Header


def representation_dims(header: Header) -> int:
    """Dimensions of what :meth:`Autoencoder.embed` gives, from the header alone."""
    y, z = header.config.code.y, header.config.code.z
    dims = z.dims if z else 0
    return dims + int(y.classes) if y is not None and header.config.decoder.input == "concat" else dims
