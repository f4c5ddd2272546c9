"""FlowDB: the store of mobile operator data, as a lake of Parquet files or as a PostgreSQL database."""
