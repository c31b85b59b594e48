"""Aligning with the Montreal Forced Aligner: shards by speaker, one run of MFA each."""
