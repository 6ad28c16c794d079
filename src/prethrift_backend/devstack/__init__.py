"""The embedded database, S3, development CLIP and sample catalogue of a developer's machine."""
