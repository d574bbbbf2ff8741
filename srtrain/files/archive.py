"""Check an archive before anything is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

_HARMLESS_BYTES = 100_000_000
_LARGEST_RATIO = 100  # pictures and weights hardly shrink; a zip file of zeros is a thousand times smaller


def bomb_in(archive: zipfile.ZipFile) -> str:
    """Return why a zip file must not be unpacked, or an empty string: 3 MB can unpack to 3 GB.

    The limit for all files together is 100 times the size of the zip file, or 100 MB if that is more.
    """
    packed = Path(str(archive.filename)).stat().st_size
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked <= max(_HARMLESS_BYTES, _LARGEST_RATIO * packed):
        return ""
    return (
        f"its {packed:,} bytes would become {unpacked:,} bytes, more than {_LARGEST_RATIO} times as many, as in a "
        f"decompression bomb"
    )
