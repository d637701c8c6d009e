"""Jobs, their schedules and their runs: work that happens later, once, and leaves a trail.

`job.py` is what a job is, `run.py` what became of one execution, `runner.py` who executes them. The
package knows no feature: `app/jobs.py` says which jobs there are.
"""
