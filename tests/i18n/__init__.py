"""Test bot/i18n."""
