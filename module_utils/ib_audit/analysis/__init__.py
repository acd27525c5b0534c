"""What a script's names, values, connections and paths of execution are. Pure."""
