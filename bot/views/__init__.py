"""Turn results into what people see in Discord: embeds, buttons, files."""
