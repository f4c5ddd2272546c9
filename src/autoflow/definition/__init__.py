"""What workflows.yml says, and whether it can be used."""
