"""Which promises a run of tests exercises."""
