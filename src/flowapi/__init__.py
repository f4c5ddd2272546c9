"""HTTP in front of the FlowMachine server: checks tokens, keeps the audit record, streams results."""
