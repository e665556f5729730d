"""What people click and type: buttons, menus, autocomplete, and what a clicked message holds."""
