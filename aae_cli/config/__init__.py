"""What can be configured, the presets, and how every `auto` is decided for one data set."""
