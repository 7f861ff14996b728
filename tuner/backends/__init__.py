"""How artifacts are made for each kind of device, and what each device is."""
