"""FlowKit on one machine: the command line, deployments, and the demo."""
