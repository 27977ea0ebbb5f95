"""Many jobs in one forward pass: they join and leave between steps, each with its own sampler, windows and guidance.

    cohort = Cohort(family)
    member = cohort.join(spec)      # prepares the job; an error here is this job's alone
    while cohort.members:
        turn = cohort.turn()        # one step of every job, or one piece of finishing those that ended
        turn.steps, turn.results, turn.errors       # each by its member
    cohort.leave(member)            # at once; its neighbours go on

What is computed for a job does not depend on its neighbours, up to the rounding that `docs/attention.md` states.
"""
