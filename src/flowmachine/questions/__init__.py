"""What a query is: its parameters, its declaration as a kind, the registry of kinds, and what is wrong with one."""
