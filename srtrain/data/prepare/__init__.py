"""The work of ``srtrain data``: unpack zip files, make low resolution, check data sets."""
