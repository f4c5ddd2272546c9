"""A deployment: one directory that holds settings, secrets, the lake, the catalogue, cached results and reports."""

from flowkit.deployment.directory import ADMINISTRATOR, PORTS, Deployment
from flowkit.deployment.settings import SETTINGS, valid_name

__all__ = ["ADMINISTRATOR", "PORTS", "SETTINGS", "Deployment", "valid_name"]
