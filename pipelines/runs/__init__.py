"""Run folders, reports, bundles, and what they say of themselves."""
