"""The cases of the vectors that tools/vectors.py writes."""
