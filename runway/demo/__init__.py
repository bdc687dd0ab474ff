"""The demo: the main job end to end on this machine, on real parts and local stand-ins."""
