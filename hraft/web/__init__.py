"""What the HTTP port answers, over Klein. Is handed the node; knows nothing of peers and disks."""
