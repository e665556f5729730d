"""Test what people see."""
