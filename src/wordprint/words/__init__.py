"""Stage 3: cut aligned utterances into word segments, filter, split, store, read and convert them."""
