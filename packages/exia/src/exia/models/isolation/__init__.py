"""Models that may run any code when they load: each lives in a process that has nothing to give away."""
