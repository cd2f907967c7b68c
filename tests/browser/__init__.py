"""What a reader sees, looked at in a real Chromium.

A package, so that this folder's conftest isn't taken for the one above it.
"""
