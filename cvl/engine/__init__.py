"""Containers and processes. The protocol, the docker engine, and the fake that ships for tests."""
