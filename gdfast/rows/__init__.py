"""Where rows come from. Each module turns one kind of container into what the engine reads in place."""
