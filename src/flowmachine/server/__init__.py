"""The FlowMachine server: questions over ZeroMQ, answered by workers, kept as Parquet."""
