"""The query kinds: one file each, registered by existing."""
