"""Events of jobs to the many clients that follow them, over one connection of each process."""
