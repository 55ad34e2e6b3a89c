"""The machine: files, folders, caches, devices, the network that isn't there."""
