"""The cloud: books, people, devices, pages.

One folder for each feature; a feature uses another one's service only.
Imports protocols and itself, never firmware, reader_host, scripts or tests.
"""
