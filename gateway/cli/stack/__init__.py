"""What one machine runs: the processes, their order, and the locks and ports that keep two of them apart."""
