"""How long something that must come is waited for, before it is taken for lost.

None of these measures speed. Each lies far above what the slowest machine needs, so that they end only what hangs:
what has failed is noticed at once (a process that ended, a refusal), whatever is left of the time.
"""

#: Seconds until a part has come up, a job has ended, or a condition has come true. Six tests beside six busy processes
#: on two cores had each of these within two minutes.
PATIENCE = 600
#: Seconds a request may take that only asks.
ANSWER = 120
#: Seconds a request may take that asks whether somebody is there; it is asked again until `PATIENCE` is over.
PROBE = 10
#: Seconds a process may take to finish what it is at, before it is killed.
GRACE = 60
