"""What trained students are good for: masks, exported files, the explorer, the command line."""
