"""Pages: self-contained HTML of what was measured, and the plots that several tasks share."""
