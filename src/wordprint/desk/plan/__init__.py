"""`plan`: what a corpus of a given size will take, from rates measured on this machine by running the stages on a sample."""
