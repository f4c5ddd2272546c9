"""When something runs, for which days, and why not."""
