"""From votes to training: pairs that voters agree on become rows of preferences, and a job that learns them."""
