"""The files of this example; `workflows.yml` says what they are."""
