"""The example: two notebooks and a workflows.yml that report movements above normal on each new day."""
