"""What all tasks share that read medical images: DICOM, NIfTI and picture files become scans."""
