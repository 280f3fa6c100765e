"""What statistics cost a hit: the same process reads with them and without, by turns."""
