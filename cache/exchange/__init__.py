"""Exchange: what is remembered, as files; one file of this folder per format."""
