"""Networks that hear: spectra inside the model, keywords, transcripts."""
