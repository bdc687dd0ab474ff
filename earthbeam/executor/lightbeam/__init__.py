"""lightbeam: its configuration, its guarded requests, and sending a set to the ODS."""
