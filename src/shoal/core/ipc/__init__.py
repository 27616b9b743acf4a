"""What parent and workers say to each other: frames (bytes <-> parts) and messages (parts <-> types). No I/O."""
