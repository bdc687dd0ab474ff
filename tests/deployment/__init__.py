"""Deploying Runway as docs/deploy.md says, on a machine of its own: a network and a file system
that bubblewrap makes, in which the real names of AWS, Snowflake, and the ODS lead to stand-ins."""
