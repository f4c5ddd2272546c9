"""Reports: an executed notebook as a PDF or a web page."""
