"""The Montreal Forced Aligner, version 3, run as a program: the user's own, on PATH, in a conda environment or in its container."""
