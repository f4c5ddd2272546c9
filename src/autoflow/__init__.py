"""AutoFlow: notebooks that run on each new day of data and become PDF reports.

`autoflow.app.main()` is the service, `autoflow.app.run_once(settings)` one pass over the available
dates; `python -m autoflow` is the command line.
"""
