"""Writing down by connectionist temporal classification: units, words, search."""
