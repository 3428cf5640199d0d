"""Tests mirror the paths of the product; fixtures/ holds the real components that they run against."""
