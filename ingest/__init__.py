"""Collectors: what machines say, on disk before anybody is told it arrived."""
