"""The processes of one machine: their order, and the locks and ports that keep two Braids apart."""
